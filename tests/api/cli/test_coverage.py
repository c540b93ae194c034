"""`codat-iac coverage`, and what the policy for unmanaged connections makes of `codat-iac plan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from codat_iac.cli import run, tenant_coverage
from codat_iac.cli.session import Session
from codat_iac.codat.client import Reader
from codat_iac.desired import DesiredState, load_state
from codat_iac.emulator import Emulator
from codat_iac.model.settings import Settings
from codat_iac.planning.plan import Plan
from codat_iac.planning.plan.coverage import Coverage, Tally
from codat_iac.reconcile.companies import tenant_readings
from codat_iac.stack.stack import Stack
from tests.support import ROOT
from tests.support.builders import a_desired, a_prior, connected, tagged
from tests.support.project import connections, recorded_resources

Shown = pytest.CaptureFixture[str]

SCHEMA = json.loads((ROOT / "schemas" / "coverage.schema.json").read_text())


class Tenant:
    """A tenant with a company that is declared, and others; each call of a command is counted anew."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.file = folder / "connections.yaml"
        self.acme = self.company("Acme", segment="lending")
        self.ledger = connected(emulator, self.acme)

    def company(self, name: str, **tags: str) -> str:
        """Add a company with these tags."""
        return tagged(self.emulator, name, **tags)

    def declare(self, text: str = "", *lines: str) -> None:
        """Declare `acme/ledger` and *lines*, with *text* above it."""
        declared = connections(self.acme, "ledger: {platformKey: gbol}", *lines)
        self.file.write_text(f"version: 1\n{text}\n{declared}")

    def ran(self, capfd: Shown, *arguments: str) -> tuple[int, str, str]:
        """Run a command without a state."""
        self.emulator.clear_requests()
        capfd.readouterr()
        command, *rest = arguments
        code = run([command, str(self.file), "--stateless", *rest])
        out, err = capfd.readouterr()
        return code, out, err

    def session(self, *, recorded: bool = True) -> Session:
        """A session on a stack that holds `acme/ledger`, unless it is empty."""
        emulator = self.emulator
        session = Session(Path())
        session.settings = Settings(emulator.api_key, emulator.url)
        session.reader = Reader(emulator.api_key, emulator.url)
        session.stack = Stack(Path(), "organization/shop/dev", Path())
        priors = [a_prior(self.ledger, a_desired(company_id=self.acme))] if recorded else []
        session.state = {"deployment": {"resources": recorded_resources(priors, {})}}
        emulator.clear_requests()
        return session

    @property
    def desired(self) -> DesiredState:
        """What is declared."""
        return load_state(self.file)

    def coverage(self, **rest: Any) -> Coverage:
        """Measure a stack that holds `acme/ledger`."""
        return tenant_coverage.coverage(self.session(**rest), self.desired)

    def plan(self, company: str | None = None, *, with_coverage: bool = False) -> Plan:
        """Plan for a stack that holds `acme/ledger`."""
        return tenant_coverage.plan(self.session(), self.desired, company, with_coverage=with_coverage)


@pytest.fixture
def tenant(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """A tenant whose one connection is declared."""
    monkeypatch.setenv("CODAT_API_KEY", emulator.api_key)
    monkeypatch.setenv("CODAT_BASE_URL", emulator.url)
    made = Tenant(emulator, tmp_path)
    made.declare()
    return made


def test_a_tenant_is_measured_in_one_call(tenant: Tenant, capfd: Shown) -> None:
    """Companies that nobody declares are counted too, and so are their tags."""
    demo = tenant.company("Demo", segment="demo")
    connected(tenant.emulator, demo, "suuo", "PendingAuth")
    connected(tenant.emulator, tenant.acme, "fztf")

    code, out, err = tenant.ran(capfd, "coverage", "-o", "json")

    data = json.loads(out)
    Draft202012Validator(SCHEMA).validate(data)
    assert (code, err) == (0, "")
    assert data["companies"] == {"declared": 1, "undeclared": 1}
    counts = {key: data["connections"][key] for key in ("managed", "declared", "unmanaged", "undeclared")}
    assert counts == {"managed": 0, "declared": 1, "unmanaged": 1, "undeclared": 1}
    assert [each["name"] for each in data["tags"]] == ["segment=demo", "segment=lending"]
    assert tenant.emulator.counts() == {"list-companies": 1}


def test_what_the_state_holds_is_managed(tenant: Tenant) -> None:
    """What is only declared isn't; what somebody else authorised is nobody's until `onExisting` takes it."""
    tenant.declare("", "bank: {platformKey: suuo}", "shop: {platformKey: fztf}")
    connected(tenant.emulator, tenant.acme, "suuo", "PendingAuth")
    connected(tenant.emulator, tenant.acme, "fztf")

    assert tenant.coverage().connections == Tally(managed=1, declared=1, unmanaged=1)
    assert tenant.emulator.counts() == {"list-companies": 1}
    assert tenant.coverage(recorded=False).connections == Tally(declared=1, unmanaged=2)


def test_a_company_without_connections_is_declared_too(tenant: Tenant) -> None:
    """What comes in there is unmanaged and not undeclared."""
    bolt = tenant.company("Bolt")
    connected(tenant.emulator, bolt)
    tenant.file.write_text(f"{tenant.file.read_text()}  bolt: {{id: {bolt}, connections: {{}}}}\n")

    assert tenant.coverage().connections == Tally(managed=1, unmanaged=1)


@pytest.mark.parametrize(("under", "code"), [("0", 0), ("50", 0), ("50.1", 1), ("100", 1)])
def test_a_share_that_is_too_small_fails(tenant: Tenant, capfd: Shown, under: str, code: int) -> None:
    """The result is shown all the same, and stderr says what to do."""
    connected(tenant.emulator, tenant.company("Bolt"))

    ran, out, err = tenant.ran(capfd, "coverage", "--fail-under", under)

    assert ran == code
    assert out.endswith("Coverage: 50.0 %: 1 of 2 connections is managed or declared.\n")
    if code:
        said = (
            f"--fail-under: 50.0 % is covered, less than {under} %; `codat-iac import --new` brings in what"
        )
        assert err == f"codat-iac: {said} isn't\n"


@pytest.mark.parametrize("under", ["nan", "-1", "100.1", "inf", "all"])
def test_a_share_that_is_none_is_a_usage_error(tenant: Tenant, capfd: Shown, under: str) -> None:
    """Before anything is read."""
    code, out, err = tenant.ran(capfd, "coverage", "--fail-under", under)

    assert (code, out, tenant.emulator.counts()) == (1, "", {})
    assert "'--fail-under'" in err
    assert "see `codat-iac coverage --help`" in err


def test_a_share_that_is_not_certain_fails(
    tenant: Tenant, capfd: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tenant changed while it was read; without a demand it is only said."""
    monkeypatch.setattr(tenant_readings, "PAGE_SIZE_ONCE", 2)
    for number in range(4):
        tenant.company(f"Empty {number}")
    tenant.emulator.knobs({"rowShift": 1})

    code, out, err = tenant.ran(capfd, "coverage", "--fail-under", "0")
    assert (code, "may be off" in out) == (1, True)
    assert err == (
        "codat-iac: --fail-under: the tenant changed while it was read, so no share is certain; run again\n"
    )
    assert tenant.ran(capfd, "coverage")[0] == 0
    tenant.declare("unmanaged: error")
    code, out, _ = tenant.ran(capfd, "coverage")
    assert (code, "`unmanaged: error` can't be checked" in out) == (1, True)


@pytest.mark.parametrize("output", ["text", "json", "markdown", "html"])
def test_what_is_an_error_fails_in_every_format(tenant: Tenant, capfd: Shown, output: str) -> None:
    """Coverage and plan alike; a plan without a state reads the tenant for it, and nothing twice."""
    bolt = tenant.company("Bolt")
    connected(tenant.emulator, bolt)
    tenant.declare("unmanaged: error")

    for command in ("coverage", "plan"):
        code, out, err = tenant.ran(capfd, command, "-o", output)
        assert (code, err) == (1, "")
        assert "nobody here manages some of its live connections" in out
        assert bolt in out
        assert tenant.emulator.counts() == {"list-companies": 1}
    tenant.declare("unmanaged: ignore")
    for command in ("coverage", "plan"):
        code, out, _ = tenant.ran(capfd, command, "-o", output)
        assert (code, bolt in out) == (0, False)


def test_a_wrong_key_is_an_error_and_a_document(
    tenant: Tenant, capfd: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the other reports."""
    monkeypatch.setenv("CODAT_API_KEY", "wrong")

    code, out, err = tenant.ran(capfd, "coverage", "-o", "json")

    assert code == 1
    assert len(json.loads(out)["problems"]) == err.count("\n") == 1


# Plans.


def test_a_plan_reads_the_tenant_only_where_it_has_to(tenant: Tenant) -> None:
    """A policy that needs no tags, and no company that nobody declares, costs nothing."""
    for text in ("", "unmanaged: report", "unmanaged: ignore"):
        tenant.declare(text)
        assert tenant.plan().coverage is None
        assert tenant.emulator.counts() == {"list-connections": 1}
    tenant.declare("unmanaged: error")
    assert tenant.plan().problems == ()
    assert tenant.emulator.counts() == {"list-companies": 1}


def test_a_plan_shows_the_coverage_when_asked(tenant: Tenant) -> None:
    """In one call in all; the plan is the same."""
    connected(tenant.emulator, tenant.company("Bolt"))
    connected(tenant.emulator, tenant.acme, "suuo")

    made = tenant.plan(with_coverage=True)

    assert tenant.emulator.counts() == {"list-companies": 1}
    assert made.coverage == tenant.coverage()
    assert [each.platform_key for each in made.unmanaged] == ["suuo"]
    assert made.stack == "dev"
    assert (made.problems, made.notes, made.changes) == ((), (), ())


def test_a_connection_that_the_tenant_lacks_is_looked_up(tenant: Tenant) -> None:
    """It is gone only if its own GET says so, as in any plan."""
    tenant.emulator.delete_connection(tenant.ledger)

    made = tenant.plan(with_coverage=True)

    assert [str(each.action) for each in made.changes] == ["replace"]
    counts = tenant.emulator.counts()
    assert (counts["list-companies"], counts["get-connection"]) == (1, 1)


def test_tags_decide_in_a_plan_of_one_company_too(tenant: Tenant) -> None:
    """Its tags are asked for, if anything is unmanaged; others' connections are none of its problems."""
    connected(tenant.emulator, tenant.company("Bolt", segment="lending"))
    tenant.declare("unmanagedByTag: {segment=lending: error}")

    assert tenant.plan("acme").problems == ()
    assert "get-company" not in tenant.emulator.counts()
    connected(tenant.emulator, tenant.acme, "suuo")
    assert [each.address for each in tenant.plan("acme").problems] == ["acme"]
    assert tenant.emulator.counts() == {"list-connections": 1, "get-company": 1}
    assert len(tenant.plan().problems) == 2
    tenant.declare("unmanaged: error\nunmanagedByTag: {segment=lending: ignore}")
    made = tenant.plan("acme")
    assert (made.problems, made.unmanaged) == ((), ())


def test_the_coverage_of_one_company_is_refused(tenant: Tenant, capfd: Shown) -> None:
    """There is none."""
    code, _, err = tenant.ran(capfd, "plan", "--coverage", "--company", "acme")

    assert code == 1
    assert "--coverage is about the whole tenant; leave out --company, or --coverage" in err


def test_a_stateless_plan_takes_what_may_be_declared_for_declared(tenant: Tenant, capfd: Shown) -> None:
    """As it lists nothing as unmanaged that a declared connection may be."""
    connected(tenant.emulator, tenant.acme)

    code, out, _ = tenant.ran(capfd, "plan", "--coverage", "-o", "json")

    assert code == 0
    assert json.loads(out)["coverage"]["connections"]["declared"] == 2
    assert json.loads(out)["unmanaged"] == []
