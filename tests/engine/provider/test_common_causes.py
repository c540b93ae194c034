"""One mistake is one error, and what only waits is a few lines, however large the stack: both doors."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from codat_iac.emulator import serving
from codat_iac.model.connection import Address, DesiredConnection, PriorConnection
from tests.support.project import Outcome, Project

pytestmark = pytest.mark.engine

COMPANIES = 9
PLATFORMS = ("gbol", "fztf", "suuo")
TOLD_BEFORE = "not done, for the reason that this run told first"
LIKELY = "is it the key of the right tenant (CODAT_API_KEY), the right base URL (CODAT_BASE_URL), and the"
OVERRIDE = "set CODAT_ACCEPT_MISSING=true for this run"


def fill(project: Project, waiting: int = 0) -> list[PriorConnection]:
    """Declare and record three connections of each company; so many were never authorised."""
    priors: list[PriorConnection] = []
    text = "companies:\n"
    for number in range(COMPANIES):
        name = f"company-{number}"
        company_id = str(project.emulator.add_company(name)["id"])
        text += f"  {name}:\n    id: {company_id}\n    connections:\n"
        for key in PLATFORMS:
            status = "PendingAuth" if len(priors) < waiting else "Linked"
            text += f"      {key}: {{platformKey: {key}}}\n"
            connection_id = str(project.emulator.connect(company_id, key, status)["id"])
            desired = DesiredConnection(Address(f"{name}/{key}"), company_id, key)
            priors.append(PriorConnection(connection_id, desired, status))
    project.declare(text)
    project.record(priors)
    return priors


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A stack of 27 Linked connections that no test here may change."""
    with serving(api_key="a-canary-of-a-key") as emulator:
        project = Project(tmp_path_factory.mktemp("causes") / "project", emulator)
        fill(project)
        emulator.add_key("the-key-of-another", tenant="another")
        before = project.recorded()
        yield project
        assert project.writes() == []
        assert project.recorded() == before


@pytest.fixture(scope="module")
def silent() -> Iterator[str]:
    """The URL of a port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


NOWHERE = "/nowhere/client.pem"
CERTIFICATE = {
    "CODAT_CLIENT_CERT": NOWHERE,
    "CODAT_CLIENT_KEY": NOWHERE,
    "CODAT_CLIENT_NAME": "6c2a5f0e-8a6f-4a3e-9a51-0f3f2b1c7d11",
}
CAUSES = {
    "another tenant's key": (
        {"CODAT_API_KEY": "the-key-of-another"},
        f"nor any other of this stack so far; {LIKELY}",
    ),
    "a wrong path": (
        {"CODAT_BASE_URL": "{url}/v1"},
        "GET /companies: answered HTTP 404, where Codat always has a list; check the base URL",
    ),
    "no key": ({"CODAT_API_KEY": "wrong"}, "Unauthorized (HTTP 401"),
    "nobody there": (
        {"CODAT_BASE_URL": "{silent}"},
        "(connection refused); check the network and the base URL",
    ),
    "no certificate": (
        CERTIFICATE,
        f"{NOWHERE} (CODAT_CLIENT_CERT) can't be read: No such file or directory",
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_one_cause_is_one_error(linked: Project, silent: str, cause: str) -> None:
    """It is told at one of the 27 resources, and once by the command line."""
    variables, words = CAUSES[cause]
    env = {name: value.format(url=linked.emulator.url, silent=silent) for name, value in variables.items()}

    (error,) = told(linked.preview(env=env))
    ran = linked.codat_iac("plan", env=env)

    assert words in error
    assert ran.code == 1
    assert (ran.out + ran.err).count(words) == 1


def told(outcome: Outcome) -> list[str]:
    """The errors of resources."""
    assert outcome.code != 0
    return [error for error in outcome.errors if not error.endswith(("preview failed", "update failed"))]


@pytest.mark.parametrize("command", ["refresh", "destroy"])
def test_what_overrides_a_check_comes_last(linked: Project, command: str) -> None:
    """First what is likely, so that who reads the beginning alone does no harm."""
    (error,) = told(linked.pulumi(command, "--yes", env={"CODAT_API_KEY": "the-key-of-another"}))

    assert error.index(LIKELY) < error.index(OVERRIDE)
    assert error.endswith(OVERRIDE)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["plan", "drift"])
def test_the_command_line_names_the_likely_mistake_first(linked: Project, command: str) -> None:
    """In one line, or in four with the stack, the title and the summary."""
    ran = linked.codat_iac(command, env={"CODAT_API_KEY": "the-key-of-another"})

    said = ran.out + ran.err
    assert ran.code == 1
    assert said.index(LIKELY) < said.index(OVERRIDE)
    assert len([line for line in said.splitlines() if line]) <= 4


@pytest.mark.slow
def test_a_limit_is_told_once_and_nothing_is_forgotten(linked: Project) -> None:
    """`destroy` asks for each of the 27, and each stays, whether it tells why or not."""
    outcome = linked.destroy()

    first = [error for error in told(outcome) if TOLD_BEFORE not in error]
    assert len(first) == 1
    assert "nothing is declared: is it the right file, and the right stack? It would end 27 " in first[0]


@pytest.mark.slow
def test_a_removal_that_reads_nothing_first_is_refused_once(linked: Project) -> None:
    """Without a refresh each removal is asked for first; the key is wrong for all of them."""
    env = {"CODAT_API_KEY": "the-key-of-another", "CODAT_MAX_LOSSES": "100"}
    outcome = linked.destroy("--refresh=false", env=env)

    assert outcome.code != 0
    assert len([error for error in told(outcome) if LIKELY in error]) == 1


@pytest.mark.slow
def test_the_wrong_stack_is_asked_about_before_anything_is_adopted(linked: Project) -> None:
    """An empty stack, and all that is declared exists: one error in each door."""
    linked.pulumi("stack", "init", "empty")
    try:
        (error,) = told(linked.preview())
        ran = linked.codat_iac("plan")
    finally:
        linked.pulumi("stack", "select", "dev")

    assert "that nobody manages here: " in error
    assert error.index("if this is the right stack") < error.index("`onExisting: adopt`")
    (problem,) = [line for line in ran.out.splitlines() if "and 22 more: it exists in Codat already" in line]
    assert problem.index("is it the right stack (see `pulumi stack ls`)?") < problem.index(
        "`onExisting: adopt`"
    )


@pytest.mark.slow
def test_a_key_that_is_revoked_during_an_apply_is_told_once(project: Project, acme: str) -> None:
    """The other changes are told to have failed for the same reason; none is tried in vain."""
    keys = ("gbol", "fztf", "suuo", "qhyg")
    lines = "".join(f"      {key}: {{platformKey: {key}}}\n" for key in keys)
    project.declare(f"companies:\n  acme:\n    id: {acme}\n    connections:\n{lines}")
    project.emulator.faults([{"on": "POST /companies/*/connections", "do": "status", "status": 401}])

    ran = project.codat_iac("apply", "--yes")

    outcomes = [line for line in ran.out.splitlines() if line.startswith("failed")]
    assert len(outcomes) == len(keys)
    assert sum("(HTTP 401" in line for line in outcomes) == 1
    assert sum(line.endswith(TOLD_BEFORE) for line in outcomes) == len(keys) - 1


# What only waits.


@pytest.mark.slow
def test_a_quiet_preview_is_a_screenful(project: Project) -> None:
    """23 that wait as recorded are one warning; what is new today has its own, before it."""
    *_, broken, unlinked = fill(project, waiting=23)
    quiet = project.preview("--expect-no-changes")

    assert quiet.code == 0
    assert [warning.partition(": company")[0] for warning in quiet.warnings] == [
        "warning: 23 connections wait for their customers (23 PendingAuth)"
    ]
    assert len(diagnostics(quiet)) < 10

    project.emulator.revoke(broken.id)
    project.emulator.unlink(unlinked.id)
    fresh = project.preview("--expect-no-changes")

    assert sorted(warning.split(",")[0] for warning in fresh.warnings) == [
        "warning: 23 more connections wait for their customers (23 PendingAuth): company-0/fztf",
        f"warning: {broken.address}: Deauthorized",
        f"warning: {unlinked.address}: Unlinked by somebody else",
    ]
    assert len(diagnostics(fresh)) < 25


def diagnostics(outcome: Outcome) -> list[str]:
    """What is shown after the progress, but for the stack's outputs."""
    return outcome.shown.partition("Diagnostics:")[2].partition("Outputs:")[0].splitlines()
