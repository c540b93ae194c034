"""The command line as a person and a script meet it: errors, terminals, pipes, interrupts, files."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from codat_iac.emulator import Emulator
from codat_iac.planning.plan import FORMAT_VERSION
from tests.support.builders import a_desired, a_prior, connected
from tests.support.project import Project, Ran, connections, pulumi_after, recorded_resources
from tests.support.raw_server import answering, http
from tests.support.streams import run_with
from tests.support.terminal import Terminal
from tests.support.waiting import PATIENCE, until

pytestmark = pytest.mark.engine

LEDGER = "ledger: {platformKey: gbol}"

NOBODY = "8a210b68-6988-11ed-a1eb-0242ac120002"

COMMANDS = (("plan",), ("apply", "--yes"), ("drift",), ("links",), ("validate", "--online"))
"""Each command that reads Codat."""


@pytest.fixture
def recorded(project: Project, acme: str, emulator: Emulator) -> str:
    """One Xero connection of Acme's, declared, recorded and waiting for its customer: its id."""
    connection_id = connected(emulator, acme, "gbol", "PendingAuth")
    project.declare(connections(acme, LEDGER))
    project.record([a_prior(connection_id, a_desired(company_id=acme), "PendingAuth")])
    emulator.clear_requests()
    return connection_id


def one_line(ran: Ran, text: str, code: int = 1) -> None:
    """An error: one line that says *text*, on stderr, and nothing else anywhere."""
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.count("\n") == len(ran.said) == 1, ran.err
    assert text in ran.said[0]
    assert not ran.said[0].endswith(".")


# Errors.


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("environment", "text"),
    [
        pytest.param({"CODAT_API_KEY": ""}, "no API key: set CODAT_API_KEY", id="no key"),
        pytest.param({"CODAT_API_KEY": "wrong"}, "check the API key (CODAT_API_KEY", id="wrong key"),
        pytest.param(
            {"CODAT_BASE_URL": "http://codat.example"}, "would send the API key in the open", id="url"
        ),
    ],
)
@pytest.mark.usefixtures("recorded")
def test_a_wrong_setting_is_one_line(
    project: Project, command: tuple[str, ...], environment: Mapping[str, str], text: str
) -> None:
    """From every command that reads Codat; nothing is changed."""
    one_line(project.codat_iac(*command, "--stack", "dev", env=environment), text)

    assert project.writes() == []


@pytest.mark.slow
@pytest.mark.usefixtures("recorded")
def test_a_server_that_is_none_is_one_line(project: Project) -> None:
    """A dead one, and one that serves a page of HTML."""
    one_line(project.codat_iac("plan", env={"CODAT_BASE_URL": "http://127.0.0.1:1"}), "connection refused")
    with answering(http("<html>please log in</html>", Content_Type="text/html")) as server:
        ran = project.codat_iac("drift", env={"CODAT_BASE_URL": server.url})
    one_line(ran, "not JSON, so this isn't Codat's API; check the base URL")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param(("plan", "--cwd", "/"), "no Pulumi.yaml in / or above it", id="no project"),
        pytest.param(("plan", "--stack", "nowhere"), "no stack named 'nowhere' found", id="no stack"),
        pytest.param(("drift", "--stack", "no name"), "a stack name may only contain", id="no name"),
        pytest.param(("plan", "nowhere.yaml"), "nowhere.yaml: does not exist", id="no file"),
        pytest.param(("plan", ""), "no path is given", id="empty path"),
        pytest.param(("plan", "--stateless"), "give the PATH", id="stateless without a path"),
        pytest.param(("plan", "--company", "acm"), "did you mean 'acme'?", id="company"),
        pytest.param(("drift", "--company", "Acme Ltd"), "did you mean 'acme'?", id="a company's name"),
        pytest.param(
            ("links", "--company", "zebra"),
            "neither declared nor recorded; give its key in the desired state, or its id",
            id="company of nobody",
        ),
        pytest.param(("plan", "--company", NOBODY), "neither declared nor recorded", id="id of nobody"),
        pytest.param(("plan", "--out", "/nowhere/plan"), "choose another --out", id="out"),
        pytest.param(("apply", "--yes", "--plan", "/dev/null"), "is not JSON", id="no plan"),
    ],
)
@pytest.mark.usefixtures("recorded")
def test_a_wrong_argument_is_one_line(project: Project, arguments: tuple[str, ...], text: str) -> None:
    """It says what to do."""
    one_line(project.codat_iac(*arguments), text)


@pytest.mark.usefixtures("recorded")
def test_a_company_is_named_by_its_key_or_its_id(project: Project, acme: str, emulator: Emulator) -> None:
    """In every command; by its id alone only if it is recorded under one key."""
    bolt = str(emulator.add_company("Bolt")["id"])
    project.record(
        [
            a_prior(
                connected(emulator, acme, "gbol", "PendingAuth"), a_desired(company_id=acme), "PendingAuth"
            ),
            a_prior(
                connected(emulator, bolt, "gbol", "PendingAuth"),
                a_desired("bolt/ledger", company_id=bolt),
                "PendingAuth",
            ),
            a_prior(
                connected(emulator, bolt, "suuo", "PendingAuth"),
                a_desired("old/bank", company_id=bolt, platform_key="suuo"),
                "PendingAuth",
            ),
        ]
    )

    for command in ("plan", "drift", "links"):
        by_key, by_id = (
            project.codat_iac(command, "--company", given, "-o", "json").json
            for given in ("acme", acme.upper())
        )
        assert by_key | {"generatedAt": "", "calls": {}} == by_id | {"generatedAt": "", "calls": {}}
    one_line(
        project.codat_iac("drift", "--company", bolt),
        f"--company {bolt} has several keys (bolt, old); give one",
    )


def test_without_a_desired_state_it_says_how_to_name_one(project: Project) -> None:
    """By its path, or in the stack's config; a plan first asks the program, which needs one here.

    An apply takes no path alone, since what isn't named in the config is a program's own.
    """
    file = project.folder / "Pulumi.yaml"
    file.write_text(file.read_text().partition("config:")[0])

    one_line(
        project.codat_iac("apply", "--yes"),
        "stack dev: no `codat:desired` is set, so a program of your own declares it, and `pulumi up` brings"
        " that about; if a file is to declare it, `pulumi config set codat:desired FILE`, and look at",
    )
    one_line(
        project.codat_iac("coverage"),
        "no desired state: name it with `pulumi config set codat:desired FILE`, or give its PATH to a command"
        " that takes one; what a program of your own declares is planned by `codat-iac plan` and brought"
        " about by `pulumi up`",
    )
    one_line(
        project.codat_iac("plan"), "no desired state: `pulumi config set codat:desired connections.yaml`"
    )


def test_without_an_engine_it_says_how_to_get_one(project: Project, acme: str, tmp_path: Path) -> None:
    """And what needs none works: a check, and a plan without a state."""
    project.declare(connections(acme, LEDGER))
    bare = {"PATH": "/nowhere", "XDG_CACHE_HOME": str(tmp_path)}

    one_line(project.codat_iac("plan", env=bare), "run: codat-iac engine install")
    one_line(project.codat_iac("engine", "path", env=bare), "run: codat-iac engine install")
    plan = project.codat_iac("plan", "--stateless", "connections.yaml", "--detailed-exitcode", env=bare)
    assert (plan.code, plan.err) == (2, "")
    checked = project.codat_iac("validate", "connections.yaml", "--online", env=bare)
    assert (checked.code, checked.err) == (0, "")
    checked = project.codat_iac("validate", "--cwd", str(project.folder), env=bare, cwd=tmp_path)
    assert (checked.code, checked.err) == (0, "")
    assert "connections.yaml: 1 connection of 1 company" in checked.out


def test_what_only_pulumi_can_tell_is_asked_of_it(project: Project, acme: str) -> None:
    """A stack of its own desired state: which stack is selected is known to the backend alone."""
    (project.folder / "dev.yaml").write_text("version: 1\n" + connections(acme, LEDGER))
    project.pulumi("config", "set", "codat:desired", "dev.yaml")

    assert "dev.yaml: 1 connection of" in project.codat_iac("validate").out
    assert (
        "dev.yaml: 1 connection of"
        in project.codat_iac("validate", "-s", "dev", env={"PATH": "/nowhere"}).out
    )


def test_every_problem_of_the_file_is_a_line(project: Project, acme: str) -> None:
    """With file, line and column, in one run."""
    project.declare(connections(acme, "ledger: {platformKey: 12}", "shop: {platform: fztf}"))

    ran = project.codat_iac("plan")

    assert ran.code == 1
    assert [re.sub(r"acme/\w+: .*", "", line) for line in ran.said] == [
        "connections.yaml, line 6, column 29: ",
        "connections.yaml, line 7, column 14: ",
    ]


def a_broken_state(project: Project) -> None:
    """Let the state hold a connection as no version of ours ever wrote one."""
    resources = recorded_resources([a_prior(1)], {})
    del resources[2]["outputs"]["address"]
    project.write_state(lambda _: resources)


def test_a_bug_is_one_line_too(project: Project, acme: str) -> None:
    """It asks for a report, and `--debug` shows the traceback, wherever it stands."""
    project.declare(connections(acme, LEDGER))
    a_broken_state(project)

    one_line(
        project.codat_iac("drift"), "a bug, please report it with the output of --debug: KeyError: 'address'"
    )
    for arguments in (("--debug", "drift"), ("drift", "--debug")):
        ran = project.codat_iac(*arguments)
        assert (ran.code, ran.out, ran.said) == (1, "", [])
        assert ran.err.startswith("Traceback (most recent call last):")
        assert ran.err.endswith("KeyError: 'address'\n")


def test_debug_shows_where_an_error_comes_from(project: Project) -> None:
    """The exit code is the same as without."""
    ran = project.codat_iac("plan", "--cwd", "/", "--debug")

    assert ran.code == 1
    assert ran.err.startswith("Traceback (most recent call last):")
    assert "ConfigError: no Pulumi.yaml in / or above it" in ran.err.splitlines()[-1]


# Where it runs.


@pytest.mark.slow
@pytest.mark.usefixtures("recorded")
def test_it_runs_in_the_folder_that_it_is_told(project: Project, tmp_path: Path) -> None:
    """`--cwd` finds the project of that folder or above it; a PATH is relative to it."""
    below = project.folder / "below"
    below.mkdir()
    (below / "desired.yaml").write_text("version: 1\ncompanies: {}\n")

    for arguments in (("--cwd", str(project.folder)), ("-C", str(below))):
        assert project.codat_iac("plan", *arguments, "--detailed-exitcode", cwd=tmp_path).code == 3
    ran = project.codat_iac("plan", "-C", str(below), "desired.yaml", "-o", "json", cwd=tmp_path)
    assert [change["step"] for change in ran.json["changes"]] == ["remove"]


@pytest.mark.slow
@pytest.mark.usefixtures("recorded")
def test_the_config_serves_where_the_environment_says_nothing(project: Project) -> None:
    """The key and the base URL may stand in the stack's config, for a check of a given file too."""
    project.pulumi("config", "set", "--secret", "codat:apiKey", project.emulator.api_key)
    project.pulumi("config", "set", "codat:baseUrl", project.emulator.url)
    nothing = {"CODAT_API_KEY": "", "CODAT_BASE_URL": ""}

    assert project.codat_iac("plan", "--detailed-exitcode", env=nothing).code == 3
    assert project.codat_iac("validate", "--online", "connections.yaml", env=nothing).code == 0


@pytest.mark.usefixtures("recorded")
def test_a_key_in_the_open_is_refused(project: Project) -> None:
    """By every command that reads the config: the engine would copy it into the state."""
    project.pulumi("config", "set", "codat:apiKey", "a-key")

    one_line(project.codat_iac("plan"), "codat:apiKey is not a secret")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS[:4], ids=" ".join)
@pytest.mark.parametrize(
    ("key", "variable"), [("maxLosses", "CODAT_MAX_LOSSES"), ("acceptMissing", "CODAT_ACCEPT_MISSING")]
)
@pytest.mark.usefixtures("recorded")
def test_what_lifts_a_limit_may_not_stand_in_the_config(
    project: Project, command: tuple[str, ...], key: str, variable: str
) -> None:
    """It would outlive its run; the environment, or a flag, is for one run. Nothing is changed."""
    project.pulumi("config", "set", f"codat:{key}", "1")

    one_line(
        project.codat_iac(*command),
        f"codat:{key} is not read from the stack's config, since it would outlive the run that it is meant"
        f" for; `pulumi config rm codat:{key}`, and set {variable} in the environment",
    )

    assert project.writes() == []


@pytest.mark.parametrize(
    ("written", "option"),
    [({"retainOnDelete": True}, "retain_on_delete"), ({"ignoreChanges": ["status"]}, "ignore_changes")],
)
def test_an_option_that_no_file_can_say_is_left_to_its_program(
    project: Project, recorded: str, acme: str, written: Mapping[str, object], option: str
) -> None:
    """An apply would take it away, so it refuses the stack; a plan has nothing against it."""
    project.write_state(lambda resources: [*resources[:2], resources[2] | {**written}])
    project.declare(connections(acme, LEDGER, "shop: {platformKey: fztf}"))

    ran = project.codat_iac("apply", "--yes")

    assert (ran.code, ran.out) == (1, "")
    assert len(ran.said) == 1
    assert f"acme/ledger was declared with `{option}`, which only a program of your own can" in ran.said[0]
    assert project.writes() == []
    assert project.recorded() == {"acme/ledger": recorded}
    assert project.codat_iac("plan", "--detailed-exitcode").code == 2


# What takes two runs.


def test_an_apply_without_the_passphrase_shows_no_plan(project: Project, acme: str) -> None:
    """It is one line, before anything that would not follow."""
    project.declare(connections(acme, "ledger: {platformKey: gbol}"))

    ran = project.codat_iac("apply", "--yes", env={"PULUMI_CONFIG_PASSPHRASE": "another"})

    one_line(
        ran, "PULUMI_CONFIG_PASSPHRASE has another passphrase than stack dev; set it to the one that its"
    )
    assert project.writes() == []


def a_row_of_renames(project: Project, acme: str, emulator: Emulator) -> tuple[str, str]:
    """What is recorded as a and b is declared as b and c. Returns both ids."""
    first, second = (connected(emulator, acme) for _ in range(2))
    project.record(
        [
            a_prior(first, a_desired("acme/a", company_id=acme)),
            a_prior(second, a_desired("acme/b", company_id=acme)),
        ]
    )
    project.declare(
        connections(
            acme,
            f"b: {{platformKey: gbol, connectionId: {first}}}",
            f"c: {{platformKey: gbol, connectionId: {second}}}",
        )
    )
    return first, second


def test_apply_makes_the_second_run_by_itself(project: Project, acme: str, emulator: Emulator) -> None:
    """One name can't be given to two resources at once, so a row of renames takes two; nothing is called."""
    first, second = a_row_of_renames(project, acme, emulator)

    planned = project.codat_iac("plan")
    assert re.search(
        r"~ +move +acme/b .* was acme/a; comes in a second run, since its name is taken until then",
        planned.out,
    )
    assert planned.out.endswith("Plan: 2 to move. 1 of them comes in a second run.\n")
    as_data = {each["address"]: each for each in project.codat_iac("plan", "-o", "json").json["changes"]}
    assert {address: each["later"] for address, each in as_data.items()} == {"acme/b": True, "acme/c": False}

    ran = project.codat_iac("apply", "--yes")

    assert ran.code == 0, ran.err
    assert ran.out == "done      move    acme/c\ndone      move    acme/b\nApplied: 2 of 2 changes.\n"
    assert project.recorded() == {"acme/b": first, "acme/c": second}
    assert project.writes() == []
    assert project.codat_iac("plan", "--detailed-exitcode").code == 0
    assert project.preview("--expect-no-changes").code == 0


def test_what_the_first_run_did_is_told_although_the_second_cant_begin(
    project: Project, acme: str, emulator: Emulator, tmp_path: Path
) -> None:
    """A colleague was faster, for one; the next apply does the rest."""
    first, second = a_row_of_renames(project, acme, emulator)
    once = tmp_path / "once"
    locked = f"""case " $* " in *" up "*)
  [ -e {once} ] && {{ echo 'error: [409] Conflict: Another update is currently in progress.' >&2; exit 255; }}
  touch {once};;
esac"""

    ran = project.codat_iac("apply", "--yes", env={"PATH": pulumi_after(tmp_path / "bin", locked)})

    assert ran.code == 1
    assert ran.out.splitlines() == [
        "done      move    acme/c",
        "not tried move    acme/b",
        "Applied: 1 of 2 changes. What is left is what the next run does.",
    ]
    assert ran.said[-1].startswith("the stack is locked")
    assert project.recorded() == {"acme/a": first, "acme/c": second}
    assert project.codat_iac("apply", "--yes").code == 0
    assert project.recorded() == {"acme/b": first, "acme/c": second}


@pytest.mark.slow
def test_a_python_file_works_wherever_a_yaml_file_does(project: Project, acme: str) -> None:
    """And what it prints goes to stderr, never into a document."""
    (project.folder / "connections.py").write_text(
        "print('loading')\n"
        "def desired():\n"
        f"    return {{'version': 1, 'companies': {{'acme': {{'id': '{acme}', 'connections':"
        " {key: {'platformKey': key} for key in ('gbol', 'fztf')}}}}\n"
    )
    for command in (("validate",), ("validate", "--online"), ("plan",), ("plan", "--stateless")):
        ran = project.codat_iac(*command, "connections.py", "-o", "json")
        assert ran.code == 0
        assert set(ran.err.splitlines()) == {"loading"}
        assert ran.json["formatVersion"] == FORMAT_VERSION
    project.pulumi("config", "set", "codat:desired", "connections.py")

    ran = project.codat_iac("apply", "--yes", "-o", "json")

    assert [each["address"] for each in ran.json["outcomes"]] == ["acme/fztf", "acme/gbol"]
    assert project.codat_iac("plan", "--detailed-exitcode").code == 3
    assert project.preview("--expect-no-changes").code == 0


# validate --online.


@pytest.mark.slow
def test_the_tenant_is_asked_whether_it_knows_what_is_declared(project: Project, acme: str) -> None:
    """A platform that it hasn't and a company that it doesn't know are problems of the file."""
    nobody = "8a210b68-6988-11ed-a1eb-0242ac120002"
    project.declare(
        connections(acme, "ledger: {platformKey: gboz}")
        + f"  beta:\n    id: {nobody}\n    connections: {{shop: {{platformKey: fztf}}}}\n"
    )

    assert project.codat_iac("validate").code == 0
    ran = project.codat_iac("validate", "--online", "-o", "json")

    assert (ran.code, ran.err) == (1, "")
    first, second = ran.json["problems"]
    assert (first["line"], second["line"]) == (6, 8)
    assert "did you mean gbol (Xero)?" in first["message"]
    assert second["message"].startswith("company beta: its id is none of this tenant's companies")


# Links.


@pytest.mark.slow
def test_links_are_on_stdout_and_nowhere_else(project: Project, recorded: str) -> None:
    """Or in a file that only its owner can read; no other command shows one."""
    ran = project.codat_iac("links", "-o", "csv")
    _, row = ran.out.splitlines()
    assert row.startswith("acme/ledger,Acme,Xero,PendingAuth,")
    assert recorded in row
    assert ran.err == ""

    file = project.folder / "links.csv"
    written = project.codat_iac("links", "-o", "csv", "--out", str(file))
    assert (written.out, written.err) == ("", f"written to {file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "otp=" in file.read_text()

    for command in (("plan", "-o", "json"), ("drift",), ("apply", "--yes")):
        shown = project.codat_iac(*command)
        assert "otp=" not in shown.out + shown.err


# Files and streams.


@pytest.mark.slow
@pytest.mark.usefixtures("recorded")
def test_out_takes_the_result_and_the_error(project: Project) -> None:
    """A document of what went wrong must not leave yesterday's plan standing in its place."""
    file = project.folder / "plan.json"
    ran = project.codat_iac("plan", "-o", "json", "--out", "plan.json")
    assert (ran.code, ran.out, ran.err) == (0, "", "written to plan.json\n")
    assert json.loads(file.read_text())["kind"] == "plan"

    ran = project.codat_iac("plan", "-o", "json", "--out", "plan.json", env={"CODAT_API_KEY": "wrong"})

    assert (ran.code, ran.out) == (1, "")
    assert json.loads(file.read_text())["kind"] == "problems"


@pytest.mark.slow
def test_a_name_that_a_terminal_cant_spell_is_no_error(project: Project, emulator: Emulator) -> None:
    """It is replaced on stdout; a file is UTF-8, whatever the locale says."""
    company_id = str(emulator.add_company("Zoë 🦊")["id"])
    connection_id = connected(emulator, company_id, "gbol", "PendingAuth")
    project.record([a_prior(connection_id, a_desired(company_id=company_id), "PendingAuth")])
    western = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0", "LC_ALL": "C"}

    ran = project.codat_iac("links", "-o", "csv", env=western)

    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"acme/ledger,Zo. \?,Xero", ran.out)
    project.codat_iac("links", "-o", "csv", "--out", "links.csv", env=western)
    assert "Zoë 🦊" in (project.folder / "links.csv").read_text(encoding="utf-8")


def a_long_plan(project: Project, company_id: str) -> None:
    """Declare so much that its plan is more than a pipe holds."""
    project.declare(connections(company_id, *(f"bank-{n}: {{platformKey: suuo}}" for n in range(1500))))


def shell(project: Project, line: str) -> Ran:
    """Run a line of bash in the project's folder, with `codat-iac` in it."""
    command = f'set -o pipefail; codat-iac() {{ {sys.executable} -m codat_iac "$@"; }}; {line}'
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=project.folder,
        # Unbuffered, Python itself loses the rest of a write that is cut short, without an error.
        env={**os.environ, **project.environment, "PYTHONUNBUFFERED": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@pytest.mark.slow
def test_a_pipe_that_breaks_is_quiet(project: Project, acme: str) -> None:
    """Whoever reads one line gets it, and nothing else is said; the exit code is the plan's."""
    a_long_plan(project, acme)

    ran = shell(project, "codat-iac plan --stateless connections.yaml -o json | { read -r a; echo $a; }")

    assert (ran.code, ran.out, ran.err) == (0, "{\n", "")


@pytest.mark.slow
def test_an_apply_goes_on_where_nobody_listens(project: Project, acme: str) -> None:
    """A reader of its progress that has left must not end it between two changes."""
    project.declare(connections(acme, LEDGER, "shop: {platformKey: fztf}"))

    ran = shell(project, "codat-iac apply --yes 2>&1 >/dev/null | head -1")

    assert (ran.code, ran.err) == (0, "")
    assert set(project.recorded()) == {"acme/ledger", "acme/shop"}


@pytest.mark.slow
def test_an_error_that_nobody_reads_keeps_its_code(project: Project) -> None:
    """Also where stderr is closed."""
    assert shell(project, "codat-iac plan --cwd / 2> >(true)").code == 1
    assert shell(project, "codat-iac plan --cwd / 2>&-").code == 1
    assert shell(project, "codat-iac --version >&-").code == 1


def test_warnings_are_shown_to_whoever_asks_for_them(project: Project) -> None:
    """Python's own switch; by default nobody sees any, as before."""
    assert shell(project, "PYTHONWARNINGS=default codat-iac --version").code == 0


# Terminals.


ESCAPE = "\x1b["


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "colourful"),
    [
        pytest.param({}, True, id="a terminal"),
        pytest.param({"NO_COLOR": "1"}, False, id="NO_COLOR"),
        pytest.param({"NO_COLOR": ""}, True, id="NO_COLOR that is empty"),
        pytest.param({"TERM": "dumb"}, False, id="a dumb terminal"),
    ],
)
@pytest.mark.usefixtures("recorded")
def test_a_terminal_gets_colours(project: Project, environment: Mapping[str, str], colourful: bool) -> None:
    """Unless it asks for none; everything else never gets any."""
    terminal = Terminal(project, "plan", env=environment)
    assert terminal.end() == 0
    assert (ESCAPE in terminal.shown) == colourful

    assert ESCAPE not in project.codat_iac("plan", env=environment).out
    terminal = Terminal(project, "plan", "-o", "markdown", env=environment)
    assert terminal.end() == 0
    assert ESCAPE not in terminal.shown


@pytest.mark.slow
def test_a_person_is_asked_and_says_yes(project: Project, acme: str) -> None:
    """The plan, the question, a bar that goes, and what became of it."""
    project.declare(connections(acme, LEDGER, "shop: {platformKey: fztf}"))
    terminal = Terminal(project, "apply")

    terminal.wait_for("Apply 2 changes? [y/N]: ")
    assert "Plan: 2 to create." in terminal.shown
    assert ESCAPE in terminal.shown
    assert project.writes() == []
    terminal.type("y\n")

    assert terminal.end() == 0, terminal.shown
    assert "Applying" in terminal.shown
    assert terminal.shown.endswith(
        "done      create  acme/ledger\ndone      create  acme/shop\nApplied: 2 of 2 changes.\n"
        "2 new connections wait for their customers; send the links now: `codat-iac links`.\n"
    )
    assert set(project.recorded()) == {"acme/ledger", "acme/shop"}


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        pytest.param("n\n", 1, "codat-iac: cancelled; nothing is changed\n", id="no"),
        pytest.param("\n", 1, "codat-iac: cancelled; nothing is changed\n", id="just Enter"),
        pytest.param("\x03", 130, "\ncodat-iac: interrupted", id="Ctrl-C"),
        pytest.param("\x04", 130, "\ncodat-iac: interrupted", id="Ctrl-D"),
    ],
)
def test_a_person_is_asked_and_says_no(
    project: Project, acme: str, answer: str, code: int, text: str
) -> None:
    """Nothing is done, and whoever waits for this to succeed is told that it didn't."""
    project.declare(connections(acme, LEDGER))
    terminal = Terminal(project, "apply")
    terminal.wait_for("Apply 1 change? [y/N]: ")
    terminal.type(answer)

    assert terminal.end() == code
    assert text in terminal.shown
    assert "Traceback" not in terminal.shown
    assert project.writes() == []
    assert project.recorded() == {}


def test_ctrl_c_on_a_terminal_reaches_pulumi_once(project: Project, acme: str) -> None:
    """It would cancel in the middle if the terminal told it too."""
    project.declare(connections(acme, LEDGER))
    project.emulator.faults([{"on": "POST /companies/*/connections", "do": "delay", "seconds": 3}])
    terminal = Terminal(project, "apply", "--yes")
    until(lambda: "create-connection" in project.emulator.counts(), "a POST")
    terminal.type("\x03")

    assert terminal.end() == 130
    assert "stopping when what is under way is finished" in terminal.shown
    assert "done      create  acme/ledger" in terminal.shown
    assert set(project.recorded()) == {"acme/ledger"}


def test_nobody_can_be_asked_without_a_terminal(project: Project, acme: str) -> None:
    """The plan is shown all the same, and one line says which flag is missing."""
    project.declare(connections(acme, LEDGER))

    ran = project.codat_iac("apply")

    assert (ran.code, ran.out) == (1, "")
    assert ran.said == ["nobody can be asked here; pass --yes if you mean it"]
    assert "Plan: 1 to create." in ran.err
    assert project.writes() == []


# Interrupts.


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", [("plan",), ("drift",), ("apply", "--yes")], ids=" ".join)
@pytest.mark.usefixtures("recorded")
def test_an_interrupt_while_it_reads(
    project: Project, command: tuple[str, ...], number: signal.Signals
) -> None:
    """It leaves soon, says so in a line, and nothing is locked."""
    project.emulator.faults([{"on": "GET /companies/**", "do": "delay", "seconds": 2}])
    process = project.start_codat_iac(*command)
    until(lambda: project.emulator.requests(last=0)["total"] > 0, "a request")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out) == (130, "")
    assert err.strip() == "codat-iac: interrupted; run again for what isn't done"
    project.emulator.faults([])
    assert project.up().code == 0


@pytest.mark.usefixtures("recorded")
def test_a_second_interrupt_ends_it_at_once(project: Project, tmp_path: Path) -> None:
    """Nobody waits for a `pulumi` that tries something out, or sees what Python says of its threads."""
    trying = tmp_path / "trying"
    path = pulumi_after(tmp_path / "bin", f'[ "$1 $2" = "config set" ] && touch {trying} && sleep 15')
    process = project.start_codat_iac("apply", "--yes", env={"PATH": path})
    until(trying.exists, "the try to encrypt")
    process.send_signal(signal.SIGINT)
    assert process.stderr
    said = process.stderr.readline() + process.stderr.readline()  # a line ends the terminal's ^C
    before = time.monotonic()
    process.send_signal(signal.SIGINT)

    out, err = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out, err) == (130, "", "")
    assert said == "\ncodat-iac: interrupted; run again for what isn't done\n"
    assert time.monotonic() - before < 10


INTERRUPTED_EARLY = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "codat_iac.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Finder())
from codat_iac.__main__ import main
main()
"""
"""Presses Ctrl-C while the command line is imported."""


def test_an_interrupt_before_it_began() -> None:
    """A line and no traceback, even then, and if there is no place for the line."""
    for streams, said in (
        ("", "codat-iac: interrupted\n"),
        ("2>&-", ""),
        ("2>/dev/full", ""),
    ):
        ran = run_with(streams, program=("-c", INTERRUPTED_EARLY))

        assert (ran.code, ran.out, ran.err) == (130, "", said)


# The emulator, and the engine.


@pytest.mark.slow
def test_the_emulator_says_where_it_is_and_stops(project: Project) -> None:
    """Its URL is the first line; Ctrl-C ends it without a word, and its state survives."""
    for _ in range(2):
        process = project.start_codat_iac("emulator", "--companies", "2", "--state", "world.sqlite")
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "", "")


def test_a_port_in_use_is_one_line(project: Project) -> None:
    """It names the port."""
    port = project.emulator.url.rpartition(":")[2]

    one_line(project.codat_iac("emulator", "--port", port), port)


def test_the_emulator_without_its_extra_says_how_to_get_it(project: Project) -> None:
    """A plain install has no aiohttp."""
    source = "import sys; sys.modules['aiohttp'] = None; from codat_iac.cli import main; main(['emulator'])"
    ran = subprocess.run(
        [sys.executable, "-c", source], cwd=project.folder, capture_output=True, text=True, check=False
    )

    one_line(Ran(ran.returncode, ran.stdout, ran.stderr), "pip install 'codat-iac[emulator]'")


def test_the_engine_is_found(project: Project) -> None:
    """`install` and `path` print the same path."""
    found = project.codat_iac("engine", "path")
    assert found.code == 0
    assert os.access(found.out.strip(), os.X_OK)
    assert project.codat_iac("engine", "install").out == found.out
