"""The desired state in Python: what `desired()` returns, and what goes wrong while it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from codat_iac.desired import load
from codat_iac.model.connection import OnRemoval
from codat_iac.model.errors import ConfigError

ID = "8a210b68-6988-11ed-a1eb-0242ac120002"
WRITE_KEY = "write 4 lower-case letters, for example gbol (Xero); codat-iac validate --online lists yours"
WRITE_ID = f"write Codat's id of the company, a UUID such as {ID}"


def problems(source: str | bytes) -> list[str]:
    """What is wrong with a file c.py, without the file's name."""
    Path("c.py").write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(ConfigError) as caught:
        load("c.py")
    return [line.removeprefix("c.py").removeprefix(", ") for line in str(caught.value).split("\n")]


def returning(expression: str) -> str:
    """A file whose desired() returns the expression."""
    return f"def desired():\n    return {expression}\n"


def test_a_function_returns_what_a_yaml_file_holds() -> None:
    """Enums, classes of the file's own and neighbouring modules are all fine."""
    Path("helper.py").write_text(f"ID = '{ID.upper()}'\n")
    Path("c.py").write_text(
        "from __future__ import annotations\n"
        "from collections import UserDict\n"
        "from dataclasses import asdict, dataclass\n"
        "from enum import Enum\n"
        "from codat_iac.model.connection import OnRemoval\n"
        "import helper\n"
        "class Platform(str, Enum):\n"
        "    XERO = 'gbol'\n"
        "@dataclass\n"
        "class Connection:\n"
        "    platformKey: Platform\n"
        "    onRemoval: OnRemoval\n"
        "def desired():\n"
        "    ledger = asdict(Connection(Platform.XERO, OnRemoval.DELETE))\n"
        "    companies = {'acme': UserDict(id=helper.ID, connections={'ledger': ledger})}\n"
        "    return {'version': 1, 'companies': companies, 'x-notes': [{1: None}, 0.5]}\n"
    )

    (connection,) = load("c.py")

    assert (connection.address, connection.company_id) == ("acme/ledger", ID)
    assert (connection.platform_key, connection.on_removal) == ("gbol", OnRemoval.DELETE)
    assert type(connection.platform_key) is str


def test_a_file_leaves_no_trace_in_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own modules are forgotten, so that the next folder's are read; others stay."""
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    before, path = set(sys.modules), sys.path[:]
    for name in ("first", "second"):
        Path(name).mkdir()
        Path(name, "names.py").write_text(f"COMPANY = '{name}'\n")
        Path(name, "c.py").write_text(
            "import sys, names, colorsys\nsys.path.append('x')\n"
            + returning(
                f"{{'version': 1, 'companies': {{names.COMPANY: {{'id': '{ID}', 'connections': "
                "{'x': {'platformKey': 'gbol'}}}}}"
            )
        )

    assert load("first/c.py")[0].address == "first/x"
    assert load("second/c.py")[0].address == "second/x"
    assert set(sys.modules) - before <= {"colorsys"}
    assert sys.path == path


def test_what_a_file_prints_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout is for results."""
    Path("c.py").write_text("print('hello')\n" + returning("{'version': 1, 'companies': {}}"))

    assert load("c.py") == ()
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            "def desired():\n  x = {}\n  return x['a\\nb']\n",
            "line 3, column 10: raised KeyError: 'a\\nb'; mend the code",
            id="exception",
        ),
        pytest.param(
            "def check(x):\n  assert x, 'one\\n  two\\x1b[31m'\ndef desired():\n  check(0)\n",
            "line 2, column 3: raised AssertionError: one two\\x1b[31m; mend the code",
            id="message of several lines",
        ),
        pytest.param(
            "raise ValueError('x' * 1000)",
            f"line 1, column 1: raised ValueError: {'x' * 288}…; mend the code",
            id="long message",
        ),
        pytest.param(
            "class Odd(Exception):\n  def __str__(self): return 1\nraise Odd",
            "line 3, column 1: raised codat_iac_desired_file.Odd: <exception str() failed>; mend the code",
            id="message that fails",
        ),
        pytest.param(
            "import sys\nsys.exit('no')", "line 2, column 1: raised SystemExit: no; mend the code", id="exit"
        ),
        pytest.param(
            "def desired(): return desired()",
            "line 1, column 23: raised RecursionError: maximum recursion depth exceeded; mend the code",
            id="endless recursion",
        ),
        pytest.param(
            "def desired(:\n",
            "line 1, column 13: raised SyntaxError: invalid syntax; mend the code",
            id="syntax",
        ),
        pytest.param(
            b"\0",
            ": raised SyntaxError: source code string cannot contain null bytes; mend the code",
            id="NUL",
        ),
        pytest.param(
            "import nothing_of_that_name",
            "line 1, column 1: raised ModuleNotFoundError: No module named 'nothing_of_that_name';"
            " mend the code",
            id="import",
        ),
        pytest.param(
            "def desired(company): return {}",
            ": raised TypeError: desired() missing 1 required positional argument: 'company'; mend the code",
            id="a function with a parameter",
        ),
        pytest.param(
            "", ": has no desired() function; define one (helper files are named _*.py)", id="empty file"
        ),
        pytest.param(
            "desired = {}",
            ": has no desired() function; define one (helper files are named _*.py)",
            id="no function",
        ),
    ],
)
def test_code_that_fails_is_one_problem_at_its_line(source: str | bytes, expected: str) -> None:
    """The place is the innermost line of the user's own file; never a traceback."""
    assert problems(source) == [expected]


def test_an_interrupt_is_no_problem_of_the_file() -> None:
    """Ctrl-C ends the program, as anywhere else."""
    Path("c.py").write_text("raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        load("c.py")


def test_an_exception_in_a_neighbouring_module_names_the_line_that_led_there() -> None:
    """The user's file called it."""
    Path("helper.py").write_text("def work():\n\n    return 1 / 0\n")

    assert problems("import helper\ndef desired():\n    return helper.work()\n") == [
        "line 3, column 12: raised ZeroDivisionError: division by zero; mend the code"
    ]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param(
            "None", "expected a mapping, found nothing; start with version: 1 and companies:", id="nothing"
        ),
        pytest.param(
            "{'companies': {}}",
            "version is missing; write version: 1, the only format that this codat-iac reads",
            id="no version",
        ),
        pytest.param(
            "{'version': 1, 'companies': {'a\\x1b': {'id': ID, 'connections': {}}}}",
            "the company name 'a\\x1b': use at most 100 lower-case letters, digits, '.', '_' and '-',"
            " a letter or a digit first",
            id="name",
        ),
        pytest.param(
            "{'version': 1, 'companies': {1: {}}}",
            "companies: the key 1 is not text; put it in quotes",
            id="key that is a number",
        ),
        pytest.param(
            "{'version': 1, 'companies': {'a': {'id': 10 ** 5000, 'connections': {}}}}",
            f"companies.a: id: expected text, found a huge number; {WRITE_ID}",
            id="huge number",
        ),
        pytest.param(
            "{'version': 1, 'companies': {'a': {'id': ID, 'connections': ['ledger']}}}",
            "companies.a: connections: expected a mapping, found a list; write a block for each connection"
            " below it, or connections: {} to declare none on purpose",
            id="list",
        ),
        pytest.param(
            "{'version': 1, 'companies': {'a': {'id': b'', 'connections': {}}}}",
            f"companies.a: id: expected text, found a Python value of type bytes; {WRITE_ID}",
            id="bytes",
        ),
        pytest.param(
            "{'version': 1, 'companies': {'a': {'id': ID, 'connections': {'x': {'platformKey': 'GBOL'}}}}}",
            f"companies.a.connections.x: platformKey 'GBOL': {WRITE_KEY}",
            id="platform key",
        ),
        pytest.param(
            "{'version': 1, 'companies': {'a': {'id': ID, 'connections': {'x': {'platformkey': True}}}}}",
            "companies.a.connections.x: unknown key 'platformkey'; did you mean platformKey?",
            id="unknown key",
        ),
        pytest.param(
            "{'version': 1, 'companies': {}, 'defaults': {'onRemoval': 'none'}}",
            "defaults: onRemoval 'none': write unlink, delete or retain",
            id="default",
        ),
    ],
)
def test_what_the_data_gets_wrong_is_one_problem_with_its_path(expression: str, expected: str) -> None:
    """A function's data has no lines, so the keys lead there."""
    assert problems(f"ID = '{ID}'\n" + returning(expression)) == [f": {expected}"]


def test_data_that_contains_itself_is_refused() -> None:
    """The copy ends below the deepest level of the format."""
    found = problems("def desired():\n    d = {'version': 1}\n    d['companies'] = {'a': d}\n    return d\n")

    assert ": companies.a: unknown key 'companies'; known here: connections, id, match" in found
