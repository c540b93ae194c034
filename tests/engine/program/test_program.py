"""Programs, settings and bad input on the real engine."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from codat_iac import program as stock
from codat_iac.emulator import Emulator
from codat_iac.model.record import SHARD, shard_marker
from codat_iac.model.shard import shard_number
from tests.support.project import Outcome, Project, connections
from tests.support.waiting import PATIENCE, until

pytestmark = pytest.mark.engine

LEDGER = "ledger: {platformKey: gbol}"


def explained(outcome: Outcome, text: str) -> None:
    """A failure that says *text* in one line of an error, and no traceback."""
    assert outcome.code != 0
    assert any(text in line for line in outcome.errors), outcome.shown
    assert "Traceback" not in outcome.shown
    assert "KeyboardInterrupt" not in outcome.shown


# Settings.


def test_a_key_in_the_open_is_refused(project: Project, acme: str) -> None:
    """The engine would copy it into the state, so the program refuses before it declares anything."""
    project.declare(connections(acme, LEDGER))
    project.pulumi("config", "set", "codat:apiKey", project.emulator.api_key)

    explained(project.up(env={"CODAT_API_KEY": ""}), "codat:apiKey is not a secret")

    assert project.emulator.api_key not in project.everything_written()


@pytest.mark.slow
def test_the_config_serves_where_the_environment_says_nothing(project: Project, acme: str) -> None:
    """A secret key, the base URL and the pace may stand in the stack's config."""
    project.declare(connections(acme, LEDGER))
    project.pulumi("config", "set", "--secret", "codat:apiKey", project.emulator.api_key)
    project.pulumi("config", "set", "codat:baseUrl", project.emulator.url)
    project.pulumi("config", "set", "codat:requestsPerMinute", "900")
    nothing = {"CODAT_API_KEY": "", "CODAT_BASE_URL": ""}
    project.settle(env=nothing)
    project.emulator.authorise(project.recorded()["acme/ledger"])

    assert project.preview("--expect-no-changes", env=nothing).code == 0
    explained(project.destroy(env=nothing), "would end 1 authorisation of 1 recorded connections")

    assert project.emulator.api_key not in project.everything_written()


@pytest.mark.slow
def test_the_environment_wins_over_the_config(project: Project, acme: str) -> None:
    """An old key that lives on in a state must not be the one that is used."""
    project.declare(connections(acme, LEDGER))
    project.pulumi("config", "set", "--secret", "codat:apiKey", "an-old-key")

    assert project.up().code == 0


@pytest.mark.parametrize(
    ("key", "variable"),
    [("codat:maxLosses", "CODAT_MAX_LOSSES"), ("codat:acceptMissing", "CODAT_ACCEPT_MISSING")],
)
def test_what_holds_for_one_run_is_refused_in_the_config(
    project: Project, acme: str, key: str, variable: str
) -> None:
    """It would outlive its run in the copy that `destroy` uses; the variable to set is named."""
    project.declare(connections(acme, LEDGER))
    project.pulumi("config", "set", key, "1")
    refusal = f"{key} is not read from the stack's config"

    outcome = project.up()

    explained(outcome, refusal)
    explained(outcome, f"`pulumi config rm {key}`, and set {variable} in the environment")
    said = project.codat_iac("plan").said
    assert len(said) == 1
    assert refusal in said[0]
    assert project.writes() == []


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        pytest.param({"CODAT_API_KEY": ""}, "no API key: set CODAT_API_KEY", id="no key"),
        pytest.param({"CODAT_API_KEY": "wrong"}, "acme/ledger: GET /companies", id="wrong key"),
        pytest.param({"CODAT_BASE_URL": "http://127.0.0.1:1"}, "connection refused", id="dead server"),
        pytest.param(
            {"CODAT_BASE_URL": "http://codat.example"}, "would send the API key in the open", id="http"
        ),
        pytest.param({"CODAT_MAX_LOSSES": "many"}, "it takes a number such as 10", id="limit"),
        pytest.param({"CODAT_ACCEPT_MISSING": "perhaps"}, "it takes true or false", id="flag"),
    ],
)
def test_a_wrong_setting_is_one_line(
    project: Project, acme: str, environment: dict[str, str], text: str
) -> None:
    """Each says what is wrong and what to do; nothing was called that changes something."""
    project.declare(connections(acme, LEDGER))

    explained(project.up(env=environment), text)

    assert project.writes() == []


@pytest.mark.slow
def test_a_base_url_that_serves_html_is_said_so(project: Project, acme: str) -> None:
    """A proxy's login page is not an empty tenant."""
    project.declare(connections(acme, LEDGER))
    project.settle()
    project.emulator.faults([{"on": "GET /companies/*/connections", "do": "html", "status": 200}])

    explained(project.up(), "not JSON, so this isn't Codat's API; check the base URL")

    assert set(project.recorded()) == {"acme/ledger"}


# Bad desired state.


def test_every_problem_of_the_file_is_an_error_of_its_own(project: Project, acme: str) -> None:
    """File, line and column for each, and nothing changed."""
    project.declare(connections(acme, "ledger: {platformKey: 12}", "shop: {platform: fztf}"))

    outcome = project.up()

    explained(outcome, "connections.yaml, line 6, column 29: acme/ledger")
    explained(outcome, "connections.yaml, line 7, column 14: acme/shop")
    assert project.writes() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("companies: [", "connections.yaml, line", id="broken"),
        pytest.param("", "connections.yaml", id="no companies"),
    ],
)
def test_a_file_that_is_none_declares_nothing(project: Project, acme: str, text: str, said: str) -> None:
    """A broken or empty file is an error, never an empty desired state."""
    project.declare(connections(acme, LEDGER))
    project.settle()
    project.declare(text)

    explained(project.up(), said)

    assert set(project.recorded()) == {"acme/ledger"}


@pytest.mark.slow
def test_a_file_that_is_moved_removes_nothing(project: Project, acme: str) -> None:
    """Into a subfolder, which isn't read: an error of both doors that names it, and no removal."""
    project.declare(connections(acme, LEDGER))
    folder = project.folder / "desired"
    (folder / "uk").mkdir(parents=True)
    (folder / "none.yaml").write_text("version: 1\ncompanies: {}\n")
    (project.folder / "connections.yaml").rename(folder / "acme.yaml")
    project.pulumi("config", "set", "codat:desired", "desired")
    project.settle()

    (folder / "acme.yaml").rename(folder / "uk" / "acme.yaml")

    said = "desired/uk/acme.yaml: seems to be a desired state, and isn't read in a subfolder"
    explained(project.up(), said)
    assert said in project.codat_iac("plan").err
    assert set(project.recorded()) == {"acme/ledger"}
    assert project.writes() == []


@pytest.mark.slow
def test_no_desired_state_is_no_empty_one(project: Project, acme: str) -> None:
    """The command that names one is said."""
    project.declare(connections(acme, LEDGER))
    project.settle()
    settings = project.folder / "Pulumi.yaml"
    settings.write_text(settings.read_text().partition("config:")[0])

    explained(project.up(), "no desired state: `pulumi config set codat:desired connections.yaml`")

    assert set(project.recorded()) == {"acme/ledger"}


@pytest.mark.slow
def test_an_unknown_platform_is_found_by_preview(project: Project, acme: str) -> None:
    """The tenant's own integrations are asked, and the nearest is suggested."""
    project.declare(connections(acme, "ledger: {platformKey: gbok}"))

    explained(project.preview(), "did you mean gbol (Xero)?")


@pytest.mark.slow
def test_a_python_file_serves_like_a_yaml_file(project: Project, acme: str) -> None:
    """`desired()` returns the same data."""
    project.pulumi("config", "set", "codat:desired", "connections.py")
    (project.folder / "connections.py").write_text(
        "def desired():\n"
        f"    return {{'version': 1, 'companies': {{'acme': {{'id': '{acme}', 'connections':"
        " {key: {'platformKey': key} for key in ('gbol', 'suuo')}}}}\n"
    )

    assert "+ 3 to create" in project.preview().shown


def test_a_project_may_name_the_stock_program(project: Project, acme: str) -> None:
    """`main:` takes the package's own, wherever it is installed."""
    project.declare(connections(acme, LEDGER))
    settings = project.folder / "Pulumi.yaml"
    settings.write_text(f"{settings.read_text()}main: {Path(stock.__file__).parent}\n")
    (project.folder / "__main__.py").unlink()

    assert "+ 2 to create" in project.preview().shown


# Programs of the user's own.


HAND_WRITTEN = """\
import pulumi
from codat_iac import Connection

ledger = Connection("acme/ledger", company_id="{company}", platform_key="gbol")
shop = Connection("acme/shop", company_id=ledger.id.apply(lambda _: "{company}"), platform_key="fztf")
for name in ("status", "company_id", "platform_key", "platform_name", "source_type"):
    pulumi.export(name, getattr(ledger, name))
"""


@pytest.mark.slow
def test_a_program_of_ones_own_uses_the_resource(project: Project, acme: str) -> None:
    """Outputs have Python names; an input that isn't known yet waits until it is."""
    project.program(HAND_WRITTEN.format(company=acme))
    project.settle()

    outputs = json.loads(project.pulumi("stack", "output", "--json").shown)

    assert outputs == {
        "status": "PendingAuth",
        "company_id": acme,
        "platform_key": "gbol",
        "platform_name": "Xero",
        "source_type": "Accounting",
    }
    assert project.preview("--expect-no-changes").code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param(
            "'acme', company_id=ACME, platform_key='gbol'", "'acme' is not an address", id="address"
        ),
        pytest.param("'a/b', company_id='7', platform_key='gbol'", "'7' is not the id of a company", id="id"),
        pytest.param(
            "'a/b', company_id=ACME, platform_key='xero'.title()", "'Xero' is not a platform", id="key"
        ),
        pytest.param(
            "'a/b', company_id=ACME, platform_key='gbol', status='PendingAuth'",
            "'PendingAuth' is not Linked or Unlinked",
            id="status",
        ),
    ],
)
def test_a_wrong_argument_is_one_line(project: Project, acme: str, arguments: str, text: str) -> None:
    """Whether the program or the provider finds it."""
    project.program(f"from codat_iac import Connection\nACME = '{acme}'\nConnection({arguments})\n")

    outcome = project.preview()

    assert outcome.code != 0
    assert text in outcome.shown


@pytest.mark.slow
def test_two_of_a_kind_without_siblings_are_never_one(project: Project, acme: str) -> None:
    """A program that forgets `siblings` gets an error, not one connection at two addresses."""
    program = "from codat_iac import Connection\n" + "".join(
        f"Connection('acme/{name}', company_id='{acme}', platform_key='suuo')\n" for name in "ab"
    )
    project.program(program)
    project.settle()
    assert len(set(project.recorded().values())) == 2

    assert project.preview("--expect-no-changes").code == 0


# The terminal, the state, the calls.


@pytest.mark.slow
def test_a_failed_up_ends_with_one_line(project: Project, acme: str) -> None:
    """What Codat said, on the resource that it is about."""
    project.declare(connections(acme, LEDGER))
    project.emulator.faults([{"on": "POST /companies/*/connections", "do": "status", "status": 400}])

    explained(project.up(), "acme/ledger: POST /companies/")


@pytest.mark.slow
def test_ctrl_c_leaves_no_traceback_and_no_lock(project: Project, acme: str) -> None:
    """Whatever was under way is finished or said; the next run needs no `pulumi cancel`."""
    project.declare(connections(acme, LEDGER))
    project.emulator.faults([{"on": "POST /companies/*/connections", "do": "delay", "seconds": 2}])
    process = project.start("up", "--yes", "--skip-preview")
    until(lambda: "create-connection" in project.emulator.counts(), "a POST")
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=PATIENCE)

    assert "Traceback" not in shown
    project.emulator.faults([])
    assert project.up().code == 0
    assert project.emulator.counts()["create-connection"] == 1


@pytest.mark.slow
def test_nothing_secret_is_written_or_shown(project: Project, acme: str, emulator: Emulator) -> None:
    """The key and the links' passwords are in no state, no output and no log, at the highest verbosity."""
    project.declare(connections(acme, LEDGER))
    loud = ("--debug", "--logtostderr", "-v=9")
    shown = project.up(*loud).shown
    emulator.authorise(project.recorded()["acme/ledger"])
    shown += project.preview("--diff", "--json").shown
    shown += project.up(*loud, env={"CODAT_API_KEY": "a-canary-of-a-key"}).shown
    shown += project.destroy(*loud).shown

    for place in (shown, project.everything_written()):
        for secret in (emulator.api_key, emulator.authorization, "a-canary-of-a-key", "otp="):
            assert secret not in place


@pytest.mark.slow
def test_a_hundred_connections_cost_at_most_fifty_one_reads(project: Project, emulator: Emulator) -> None:
    """Fifty companies with two connections each: one preview, counted at the emulator."""
    companies = [str(emulator.add_company(f"Company {n}")["id"]) for n in range(50)]
    project.declare(
        "companies:\n"
        + "".join(
            f"  c{n}:\n    id: {company}\n    connections:\n      a: {{platformKey: gbol}}\n"
            "      b: {platformKey: fztf}\n"
            for n, company in enumerate(companies)
        )
    )
    assert project.preview().code == 0
    assert emulator.requests()["total"] <= 51
    project.settle("--skip-preview")

    assert project.preview("--expect-no-changes").code == 0

    assert emulator.requests()["total"] <= 51


# Shards.


def test_a_stack_declares_its_shard_alone(project: Project) -> None:
    """The rest of the same file is another stack's: neither made, nor missed by plan and preview."""
    ids: list[str] = []
    own: list[str] = []
    while not own or len(ids) - len(own) < 2:
        ids.append(str(project.emulator.add_company(f"Company {len(ids)}")["id"]))
        own = [id_ for id_ in ids if shard_number(id_, 2) == 1]
    project.declare(
        "companies:\n"
        + "".join(f"  c{n}:\n    id: {i}\n    connections:\n      {LEDGER}\n" for n, i in enumerate(ids))
    )
    project.pulumi("config", "set", "codat:shard", "1/2")

    explained(
        project.up("--skip-preview"), "its config says shard 1/2, and its state wasn't set up as a shard"
    )
    project.record([], **{SHARD: "1/2"})
    project.settle()

    assert sorted(project.recorded()) == sorted(f"c{ids.index(id_)}/ledger" for id_ in own)
    assert shard_marker(project.state()) == "1/2"
    assert project.preview("--expect-no-changes").code == 0
    ran = project.codat_iac("export", "--all")
    assert ran.out.count("platformKey") == len(own)
    assert f"{len(ids) - len(own)} companies are of other shards than 1/2" in ran.err
