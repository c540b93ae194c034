"""Every command, in every format, for every outcome: exit codes, and what stands on stdout and stderr."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from codat_iac.cli import run
from codat_iac.emulator import Emulator, serving
from codat_iac.model.connection import Status
from tests.support import ROOT
from tests.support.builders import a_desired, a_prior, connected
from tests.support.project import Project, Ran, connections

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SCHEMA = json.loads((ROOT / "schemas" / "plan.schema.json").read_text())

REPORT = ("text", "json", "markdown", "html")
FORMATS: Mapping[str, tuple[str, ...]] = {
    "validate": REPORT,
    "plan": REPORT,
    "coverage": REPORT,
    "drift": REPORT,
    "links": ("text", "csv", "json", "html"),
    "apply": ("text", "json"),
}


@dataclass(frozen=True)
class World:
    """A stack in some condition, and how to run a command on it."""

    project: Project
    environment: Mapping[str, str]

    def ran(self, capfd: pytest.CaptureFixture[str], *arguments: str) -> Ran:
        """Run a command in this process, as `main` would."""
        capfd.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.project.folder)
            for name, value in {**self.project.environment, **self.environment}.items():
                patch.setenv(name, value)
            code = run([*arguments, "--stack", "dev"])
        return Ran(code, *capfd.readouterr())


def a_world(
    emulator: Emulator,
    folder: Path,
    *,
    live: str = Status.LINKED,
    was: str | None = None,
    lines: tuple[str, ...] = ("ledger: {platformKey: gbol}",),
    environment: Mapping[str, str] | None = None,
) -> World:
    """A company with one connection, which is *live* and *was* recorded; *lines* are what is declared."""
    company_id = str(emulator.add_company("Acme & <Söhne>")["id"])
    connection_id = connected(emulator, company_id, status=live)
    project = Project(folder, emulator)
    project.declare(connections(company_id, *lines))
    project.record([a_prior(connection_id, a_desired(company_id=company_id), was or live)])
    return World(project, environment or {})


WORLDS: Mapping[str, Mapping[str, Any]] = {
    "in sync": {},
    "changes": {"lines": ("ledger: {platformKey: gbol}", "shop: {platformKey: fztf}")},
    "waiting": {"live": Status.PENDING_AUTH},
    "problem": {"lines": ("ledger: {platformKey: gbol}", "shop: {platformKey: gboz}")},
    "bad file": {"lines": ("ledger: {platformKey: 7}",)},
    "wrong key": {"environment": {"CODAT_API_KEY": "wrong"}},
    "refused": {"lines": ("{}",), "environment": {"CODAT_MAX_LOSSES": "0"}},
    "drifted": {"live": Status.DEAUTHORIZED, "was": Status.LINKED},
}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], World]]:
    """The worlds of this module, each made when it is asked for."""
    made: dict[str, World] = {}
    with serving() as emulator:

        def world(name: str) -> World:
            if name not in made:
                made[name] = a_world(emulator, tmp_path_factory.mktemp("world") / "project", **WORLDS[name])
            return made[name]

        yield world


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.declared: list[str] = []

    def handle_decl(self, decl: str) -> None:
        self.declared.append(decl)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.opened.append(tag)


def parsed(output: str, text: str) -> Any:
    """Read stdout as the format that was asked for: each has to be one whole document."""
    assert "\x1b" not in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    if output == "json":
        return json.loads(text)
    if output == "html":
        tags = _Tags()
        tags.feed(text)
        assert tags.declared == ["doctype html"]
        assert tags.opened.count("html") == tags.opened.count("body") == 1
        assert text.rstrip().endswith("</html>")
    if output == "csv":
        header, *rows = csv.reader(io.StringIO(text))
        assert header[:6] == ["address", "company", "platform", "status", "since", "url"]
        assert all(len(row) == len(header) for row in rows)
        return rows
    return None


CELLS = [
    # command, outcome, exit code, detailed exit code
    ("validate", "in sync", 0, None),
    ("validate", "bad file", 1, None),
    ("plan", "in sync", 0, 0),
    ("plan", "changes", 0, 2),
    ("plan", "waiting", 0, 3),
    ("plan", "drifted", 0, 3),
    ("plan", "problem", 1, 1),
    ("plan", "refused", 4, 4),
    ("coverage", "in sync", 0, None),
    ("drift", "in sync", 0, 0),
    ("drift", "drifted", 0, 2),
    ("links", "in sync", 0, 0),
    ("links", "waiting", 0, 3),
]


@pytest.mark.parametrize(
    ("command", "outcome", "plain", "detailed"),
    [pytest.param(*cell, id=" ".join(cell[:2])) for cell in CELLS],
)
def test_the_exit_code_is_the_same_in_every_format(
    worlds: Callable[[str], World],
    capfd: pytest.CaptureFixture[str],
    command: str,
    outcome: str,
    plain: int,
    detailed: int | None,
) -> None:
    """With and without `--detailed-exitcode`; the result is on stdout, whole, and stderr is empty."""
    for output in FORMATS[command]:
        ran = worlds(outcome).ran(capfd, command, "--output", output)
        assert (output, ran.code, ran.err) == (output, plain, "")
        document = parsed(output, ran.out)
        if command == "plan" and output == "json":
            jsonschema.validate(document, SCHEMA)
        if detailed is not None:
            again = worlds(outcome).ran(capfd, command, "-o", output, "--detailed-exitcode")
            assert (output, again.code, again.err) == (output, detailed, "")


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        pytest.param("plan", "bad file", id="plan, bad file"),
        pytest.param("apply", "bad file", id="apply, bad file"),
        *(
            pytest.param(command, "wrong key", id=f"{command}, wrong key")
            for command in ("plan", "apply", "drift", "links")
        ),
    ],
)
def test_an_error_is_one_line_on_stderr_and_a_document_on_stdout(
    worlds: Callable[[str], World], capfd: pytest.CaptureFixture[str], command: str, outcome: str
) -> None:
    """Where a document was asked for; text and CSV say nothing on stdout. The exit code is always 1."""
    for output in FORMATS[command]:
        for arguments in ((), ("--detailed-exitcode",)):
            ran = worlds(outcome).ran(capfd, command, "-o", output, *arguments)
            assert (output, ran.code) == (output, 1)
            assert ran.err.count("\n") == len(ran.said) == 1
            if output in {"text", "csv"}:
                assert ran.out == ""
            else:
                document = parsed(output, ran.out)
                assert output != "json" or len(document["problems"]) == 1


@pytest.mark.parametrize(
    ("outcome", "plain", "detailed"),
    [
        pytest.param("in sync", 0, 0, id="in sync"),
        pytest.param("waiting", 0, 3, id="waiting"),
        pytest.param("problem", 1, 1, id="problem"),
        pytest.param("refused", 4, 4, id="refused"),
    ],
)
def test_apply_where_there_is_nothing_that_it_may_do(
    worlds: Callable[[str], World],
    capfd: pytest.CaptureFixture[str],
    outcome: str,
    plain: int,
    detailed: int,
) -> None:
    """The plan is on stderr, and says why; the outcomes are none, which JSON says too."""
    for output in FORMATS["apply"]:
        for arguments, code in (((), plain), (("--detailed-exitcode",), detailed)):
            ran = worlds(outcome).ran(capfd, "apply", "--yes", "-o", output, *arguments)
            assert (output, ran.code) == (output, code)
            assert re.search(r"^(No changes|Plan:)", ran.err, re.MULTILINE)
            assert ran.out == "" if output == "text" else parsed(output, ran.out)["outcomes"] == []


@pytest.mark.parametrize("output", FORMATS["apply"])
def test_apply_with_changes(tmp_path: Path, emulator: Emulator, output: str) -> None:
    """The outcomes alone are on stdout: the plan, and how it goes, are on stderr."""
    project = a_world(emulator, tmp_path / "project", **WORLDS["changes"]).project

    ran = project.codat_iac("apply", "--yes", "-o", output, "--detailed-exitcode")

    assert ran.code == 0, ran.err
    assert "done: create acme/shop" in ran.err.splitlines()
    if output == "json":
        assert ran.json == {
            "formatVersion": 1,
            "outcomes": [{"address": "acme/shop", "step": "create", "result": "done", "error": ""}],
            "linksToSend": 1,
        }
    else:
        assert ran.out == (
            "done      create  acme/shop\nApplied: 1 of 1 change.\n"
            "1 new connection waits for its customer; send the link now: `codat-iac links`.\n"
        )


@pytest.mark.parametrize("output", FORMATS["apply"])
def test_apply_that_fails(tmp_path: Path, emulator: Emulator, output: str) -> None:
    """The exit code is 1, and what failed is on stdout like what was done."""
    project = a_world(emulator, tmp_path / "project", **WORLDS["changes"]).project
    emulator.faults([{"on": "POST /companies/*/connections", "do": "status", "status": 400}])

    ran = project.codat_iac("apply", "--yes", "-o", output)

    assert ran.code == 1
    assert "failed: create acme/shop" in ran.err.splitlines()
    if output == "json":
        (outcome,) = ran.json["outcomes"]
        assert outcome["result"] == "failed"
        assert outcome["error"].startswith("acme/shop: POST /companies/")
    else:
        assert ran.out.startswith("failed    create  acme/shop: POST /companies/")
        assert ran.out.endswith("Applied: 0 of 1 change. What is left is what the next run does.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("plan", "-o", "csv"), id="a format that it hasn't"),
        pytest.param(("plan", "--nothing"), id="an option that it hasn't"),
        pytest.param(("plan", "one", "two"), id="an argument too much"),
        pytest.param(("pln",), id="a command that isn't one"),
        pytest.param(("links", "-o"), id="an option without its value"),
        pytest.param(("apply", "--plan", "nowhere.json"), id="a plan that isn't there"),
        pytest.param(("apply", "--allow-losing", "some"), id="a number that is none"),
        pytest.param(("apply", "--allow-losing", "-1"), id="a number below 0"),
        pytest.param(("drift", "--cwd", "nowhere"), id="a folder that isn't there"),
        pytest.param(("drift", "connections.yaml"), id="a desired state where none is asked for"),
        pytest.param(("engine", "instal"), id="a part of a command that isn't one"),
    ],
)
def test_a_usage_error_exits_with_1(capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """One line on stderr says what is wrong and where the help is: 2 means changes."""
    code = run(arguments)
    out, err = capfd.readouterr()

    assert (code, out) == (1, "")
    said = Ran(code, out, err).said
    assert len(said) == err.count("\n") == 1
    assert re.search(r"; see `codat-iac( \w+)* --help`$", said[0])


@pytest.mark.parametrize("arguments", [(), ("engine",)])
def test_a_command_without_its_command_shows_the_help(
    capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """On stderr, and as an error: a script that forgot the rest must not go on."""
    code = run(arguments)
    out, err = capfd.readouterr()

    assert (code, out) == (1, "")
    assert err.startswith("Usage: codat-iac")
