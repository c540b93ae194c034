"""The desired state: one file or many become connections, and what clashes between them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codat_iac.desired import load
from codat_iac.model.connection import Address, DesiredConnection, OnExisting, OnRemoval, Status
from codat_iac.model.errors import ConfigError
from tests.support import ROOT

ACME = "8a210b68-6988-11ed-a1eb-0242ac120002"
GLOBEX = "1c9d3c0e-7a0c-4a39-9d0a-6f1f7d1f9b55"
BANK = "2e9d2c44-f675-40ba-8049-353bfcb5e171"


def problems(path: Path | str) -> str:
    """The text of the ConfigError that loading *path* raises."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


def company(
    name: str = "acme", identity: str = ACME, connections: str = "{ledger: {platformKey: gbol}}"
) -> str:
    """A YAML file with one company."""
    return f"version: 1\ncompanies:\n  {name}:\n    id: {identity}\n    connections: {connections}\n"


def folder(**files: str) -> str:
    """A folder with these YAML files."""
    Path("state").mkdir()
    for name, text in files.items():
        Path(f"state/{name}.yaml").write_text(text)
    return "state"


def test_a_file_becomes_connections_with_every_default() -> None:
    """What isn't written has the defaults: those of the file, or else the format's."""
    Path("c.yaml").write_text(
        "version: 1\n"
        "defaults: {onRemoval: retain}\n"
        "companies:\n"
        "  acme:\n"
        f"    id: {ACME.upper()}\n"
        "    connections:\n"
        f"      b: {{platformKey: suuo, status: Unlinked, onExisting: adopt, connectionId: {BANK.upper()}}}\n"
        "      a: {platformKey: suuo, onRemoval: delete}\n"
        "      c: {platformKey: gbol}\n"
    )

    assert load("c.yaml") == (
        DesiredConnection(
            Address("acme/a"), ACME, "suuo", Status.LINKED, OnRemoval.DELETE, OnExisting.REFUSE
        ),
        DesiredConnection(
            Address("acme/b"), ACME, "suuo", Status.UNLINKED, OnRemoval.RETAIN, OnExisting.ADOPT, BANK
        ),
        DesiredConnection(Address("acme/c"), ACME, "gbol", on_removal=OnRemoval.RETAIN),
    )


@pytest.mark.parametrize("default", [None, "false", "true"])
@pytest.mark.parametrize("own", [None, "false", "true"])
def test_a_connection_is_protected_if_it_says_so_or_else_its_file(
    default: str | None, own: str | None
) -> None:
    """As with every default: the connection's own word goes before it, also to take it back."""
    Path("c.yaml").write_text(
        "version: 1\n"
        + (f"defaults: {{protect: {default}}}\n" if default else "")
        + f"companies:\n  acme:\n    id: {ACME}\n    connections:\n      ledger:\n        platformKey: gbol\n"
        + (f"        protect: {own}\n" if own else "")
    )

    (ledger,) = load("c.yaml")

    assert ledger.protect is ((own or default) == "true")


def test_a_default_protects_only_what_its_own_file_declares() -> None:
    """Also where two files declare connections of the same company."""
    path = folder(
        a=company(connections="{x: {platformKey: suuo}, y: {platformKey: suuo, protect: false}}"),
        b=company(connections="{z: {platformKey: suuo, protect: true}}"),
        c="defaults: {protect: true}\n" + company(connections="{v: {platformKey: suuo}}"),
    )

    assert {one.address: one.protect for one in load(path)} == {
        "acme/v": True,
        "acme/x": False,
        "acme/y": False,
        "acme/z": True,
    }


def test_a_python_file_protects_too() -> None:
    """It returns the same data."""
    data = {
        "version": 1,
        "defaults": {"protect": True},
        "companies": {
            "acme": {
                "id": ACME,
                "connections": {
                    "bank": {"platformKey": "suuo", "protect": False},
                    "ledger": {"platformKey": "gbol"},
                },
            }
        },
    }
    Path("c.py").write_text(f"def desired():\n    return {data!r}\n")

    assert [(one.address, one.protect) for one in load("c.py")] == [
        ("acme/bank", False),
        ("acme/ledger", True),
    ]


def test_connections_are_sorted_by_address_over_all_files() -> None:
    """The order of files and of companies in them makes no difference."""
    path = folder(a=company("zeta", ACME), b=company("beta", GLOBEX))

    assert [one.address for one in load(path)] == ["beta/ledger", "zeta/ledger"]


def test_no_companies_can_be_declared_on_purpose() -> None:
    """`companies: {}` and `connections: {}` say none; nothing else does."""
    path = folder(a="version: 1\ncompanies: {}\n", b=company(connections="{}"))

    assert load(path) == ()


def test_a_company_may_stand_in_several_files_of_a_folder() -> None:
    """The same name and id merge, in whatever letters the id is written."""
    path = folder(
        a=company(connections="{x: {platformKey: suuo}}"),
        b=company(identity=ACME.upper(), connections="{y: {platformKey: suuo}}"),
    )

    assert [(one.address, one.company_id) for one in load(Path(path))] == [("acme/x", ACME), ("acme/y", ACME)]


def test_defaults_hold_for_their_own_file_alone() -> None:
    """Another file of the folder keeps the built-in defaults."""
    path = folder(a="defaults: {onExisting: create}\n" + company(), b=company("globex", GLOBEX))

    assert [one.on_existing for one in load(path)] == [OnExisting.CREATE, OnExisting.REFUSE]


def test_a_default_of_create_is_for_those_that_name_no_connection() -> None:
    """Side by side in one entry the two contradict each other; as a default it just means the others."""
    entries = f"{{a: {{platformKey: gbol}}, b: {{platformKey: gbol, connectionId: {BANK}}}}}"
    path = folder(a="defaults: {onExisting: create}\n" + company(connections=entries))

    assert [one.on_existing for one in load(path)] == [OnExisting.CREATE, OnExisting.REFUSE]


def test_a_folder_means_its_yaml_and_python_files_alone() -> None:
    """Suffixes in any case; hidden files, `_*.py`, other names and subfolders are passed over."""
    path = Path(folder(a=company()))
    (path / "B.YML").write_text(company("globex", GLOBEX))
    (path / "c.py").write_text("import _names\ndef desired(): return _names.NONE\n")
    (path / "_names.py").write_text("NONE = {'version': 1, 'companies': {}}\n")
    for ignored in (".hidden.yaml", "notes.txt", "old.yaml.bak"):
        (path / ignored).write_text("not: desired")
    (path / "sub").mkdir()
    (path / "sub" / "d.yaml").write_text("not: desired")

    assert [one.address for one in load(path)] == ["acme/ledger", "globex/ledger"]


def test_a_file_is_yaml_whatever_its_name_unless_it_is_python() -> None:
    """JSON is YAML too."""
    Path("c.json").write_text('{"version": 1, "companies": {}}')

    assert load("c.json") == ()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(
            company(),
            company(),
            "state/b.yaml, line 5, column 19: acme/ledger: is declared in state/a.yaml, line 5, column 19"
            " too; remove or rename one",
            id="one address twice",
        ),
        pytest.param(
            company(connections="{}"),
            company(identity=GLOBEX, connections="{}"),
            "state/b.yaml, line 3, column 3: company acme: its id is another one in"
            " state/a.yaml, line 3, column 3; use one id, or rename one",
            id="one name for two ids",
        ),
        pytest.param(
            company(connections="{}"),
            company("acme-ltd", ACME.upper(), "{}"),
            "state/b.yaml, line 3, column 3: company acme-ltd: its id is that of company acme too"
            " (state/a.yaml, line 3, column 3); keep one name for one company",
            id="one id under two names",
        ),
        pytest.param(
            company(connections=f"{{a: {{platformKey: suuo, connectionId: {BANK}}}}}"),
            company(connections=f"{{b: {{platformKey: suuo, connectionId: {BANK.upper()}}}}}"),
            "state/b.yaml, line 5, column 19: acme/b: its connectionId is that of acme/a too"
            " (state/a.yaml, line 5, column 19); remove one of the two",
            id="one connectionId at two addresses",
        ),
        pytest.param(
            company(connections=f"{{a: {{platformKey: suuo, connectionId: {BANK}}}}}"),
            company(connections=f"{{a: {{platformKey: suuo, connectionId: {BANK}}}}}"),
            "state/b.yaml, line 5, column 19: acme/a: is declared in state/a.yaml, line 5, column 19"
            " too; remove or rename one",
            id="one connection with a connectionId twice is one problem",
        ),
        pytest.param(
            company(connections="{ledger: {platformKey: 1}}"),
            "version: 1\ncompanies: []\n",
            "state/a.yaml, line 5, column 41: acme/ledger: platformKey: expected text, found the number 1"
            " (quotes would make it text); write 4 lower-case letters, for example gbol (Xero);"
            " codat-iac validate --online lists yours\n"
            "state/b.yaml, line 2, column 12: companies: expected a mapping, found a list;"
            " write a block for each company below it, or companies: {} to declare none on purpose",
            id="problems of all files come at once",
        ),
    ],
)
def test_files_that_clash_are_refused_with_both_places(first: str, second: str, expected: str) -> None:
    """The second place is the problem's, the first one is named in it; one mistake is one problem."""
    assert problems(folder(a=first, b=second)) == expected


def test_clashes_inside_one_file_are_refused_too() -> None:
    """Two names for one id, and one connectionId twice by way of an alias."""
    Path("c.yaml").write_text(
        "version: 1\n"
        "companies:\n"
        f"  b: {{id: {ACME}, connections: {{x: &x {{platformKey: gbol, connectionId: {BANK}}}, y: *x}}}}\n"
        f"  a: {{id: {ACME}, connections: {{}}}}\n"
    )

    assert problems("c.yaml") == (
        "c.yaml, line 3, column 142: b/y: its connectionId is that of b/x too"
        " (c.yaml, line 3, column 63); remove one of the two\n"
        "c.yaml, line 4, column 3: company a: its id is that of company b too"
        " (c.yaml, line 3, column 3); keep one name for one company"
    )


def test_a_clash_with_a_python_file_names_that_file() -> None:
    """What a function returns has no line."""
    path = folder(b=company())
    Path("state/a.py").write_text(
        f"def desired():\n    ledger = {{'ledger': {{'platformKey': 'gbol'}}}}\n"
        f"    return {{'version': 1, 'companies': {{'acme': {{'id': '{ACME}', 'connections': ledger}}}}}}\n"
    )

    assert problems(path) == (
        "state/b.yaml, line 5, column 19: acme/ledger: is declared in state/a.py too; remove or rename one"
    )


@pytest.mark.parametrize(
    "example", ["examples/yaml", "examples/python-file", "examples/yaml/connections.yaml"]
)
def test_every_example_loads(example: str) -> None:
    """The examples declare something."""
    assert load(ROOT / example)


@pytest.mark.parametrize("schemas", ["codat_iac/schemas", "schemas"], ids=["installed wheel", "checkout"])
def test_the_schema_is_found_beside_the_package_and_inside_it(schemas: str, tmp_path: Path) -> None:
    """A wheel carries the schema as `codat_iac.schemas`; in a checkout it lies beside the package."""
    home = tmp_path / "home"
    shutil.copytree(ROOT / "codat_iac", home / "codat_iac", ignore=shutil.ignore_patterns("schemas"))
    shutil.copytree(ROOT / "schemas", home / schemas)
    Path("c.yaml").write_text(company())
    program = "import codat_iac.desired as d; print(d.__file__, d.load('c.yaml')[0].address)"

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == [str(home / "codat_iac/desired/__init__.py"), "acme/ledger"]
