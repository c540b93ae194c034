"""How `codat-iac plan` plans a program of the user's own, on a stack that needs no engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from codat_iac.cli.connection_filters import find_connections
from codat_iac.cli.session import Session
from codat_iac.codat.client import Reader
from codat_iac.emulator import Emulator
from codat_iac.model import properties
from codat_iac.model.connection import RESOURCE_TYPE, Address
from codat_iac.model.errors import ConfigError
from codat_iac.model.record import SHARD
from codat_iac.model.settings import Settings
from codat_iac.model.shard import Shard, shard_number
from codat_iac.planning.rule_table import Action
from codat_iac.planning.slot_description import INPUT, SlotDescription
from codat_iac.stack.importing.discovery import Filters
from codat_iac.stack.stack import Stack
from tests.support.builders import a_desired
from tests.support.project import recorded_resources
from tests.support.worlds import a_urn


@dataclass(frozen=True)
class Programmed(Stack):
    """An empty stack, whose program declares *inputs*."""

    inputs: tuple[Mapping[str, Any], ...] = ()
    ran: list[str] = field(default_factory=list)

    def pulumi(self, *arguments: str, environment: Mapping[str, str] | None = None, **_: Any) -> str:
        """Answer as `pulumi` does."""
        self.ran.append(arguments[0])
        if arguments[0] != "preview":
            return "{}"
        assert environment is not None
        events, lines = [], []
        for bag in self.inputs:
            urn = a_urn(bag["address"])
            step = {"op": "create", "type": RESOURCE_TYPE, "old": None, "new": {"urn": urn}}
            events.append(json.dumps({"resourcePreEvent": {"metadata": step}}))
            lines.append(json.dumps({"urn": urn, "inputs": bag}))
        events.append(json.dumps({"cancelEvent": {}}))
        Path(environment["PULUMI_OPTION_EVENT_LOG"]).write_text("".join(f"{line}\n" for line in events))
        Path(environment["CODAT_DECLARED"]).write_text("\n".join(lines))
        return ""


@pytest.fixture
def session(tmp_path: Path, emulator: Emulator, acme: str, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session in a stack whose program declares one connection, and one that isn't known yet."""
    monkeypatch.setenv("CODAT_API_KEY", emulator.api_key)
    monkeypatch.setenv("CODAT_BASE_URL", emulator.url)
    known = properties.inputs(a_desired("acme/a", company_id=acme))
    unknown: dict[str, Any] = {**known, "address": "beta/b", "companyId": None, INPUT: None}
    described = {**known, INPUT: SlotDescription(1, 0, ids=()).to_json()}
    made = Session(tmp_path)
    made.stack = Programmed(tmp_path, "organization/shop/dev", tmp_path, (described, unknown))
    return made


def test_a_program_is_planned_as_a_file_is(session: Session) -> None:
    """With the name of the stack; what isn't known is a problem."""
    plan = session.plan_program(None)

    assert [(each.address, each.action) for each in plan.changes] == [("acme/a", Action.CREATE)]
    assert [each.address for each in plan.problems] == ["beta/b"]
    assert (plan.stack, plan.declared) == ("dev", 2)


@pytest.mark.parametrize(("company", "declared"), [("acme", 1), ("beta", 1)])
def test_one_company_of_a_program_is_planned_alone(session: Session, company: str, declared: int) -> None:
    """Also one of which nothing is known but its name."""
    plan = session.plan_program(company)

    assert {*(each.address for each in plan.changes), *(each.address for each in plan.problems)} == {
        Address("acme/a" if company == "acme" else "beta/b")
    }
    assert plan.declared == declared


def test_a_company_of_a_program_may_be_given_by_its_id(session: Session, acme: str) -> None:
    """As everywhere; and one that there isn't is refused."""
    assert [each.address for each in session.plan_program(acme).changes] == ["acme/a"]
    with pytest.raises(ConfigError, match="--company 'gamma' is neither declared nor recorded"):
        session.plan_program("gamma")


def test_a_wrong_setting_is_told_before_the_program_runs(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a while."""
    monkeypatch.delenv("CODAT_API_KEY")

    with pytest.raises(ConfigError, match="no API key"):
        session.plan_program(None)
    assert isinstance(session.stack, Programmed)
    assert "preview" not in session.stack.ran


def test_whose_program_it_is(session: Session) -> None:
    """The user's own, unless a desired state is named, or no stack is asked."""
    assert session.is_own_program(None)
    assert not session.is_own_program("connections.yaml")
    assert not Session(session.cwd, stateless=True).is_own_program(None)
    session.__dict__["config"] = {"codat:desired": "connections.yaml"}
    assert not session.is_own_program(None)


def test_a_limit_that_was_typed_is_lifted_by_typing(session: Session) -> None:
    """Its option wins over the variable; what wasn't typed is lifted by that."""
    typed = Session(session.cwd, max_losses=0)
    typed.stack = session.stack
    assert (typed.settings.loss_option, typed.settings.create_option) == ("--allow-losing", "")
    typed = Session(session.cwd, max_creates=0)
    typed.stack = session.stack
    assert (typed.settings.loss_option, typed.settings.create_option) == ("", "--max-creates")


def test_no_file_is_applied_to_what_a_program_declares(session: Session) -> None:
    """An apply would remove all that the program declares; the way to a file is a setting of the stack."""
    for given, file in (("deep/all.yaml", "deep/all.yaml"), ("-", "FILE"), (None, "FILE")):
        with pytest.raises(ConfigError) as refused:
            session.check_declared_by_file(given)
        assert str(refused.value) == (
            "stack dev: no `codat:desired` is set, so a program of your own declares it, and `pulumi up`"
            f" brings that about; if a file is to declare it, `pulumi config set codat:desired {file}`, and"
            " look at `codat-iac plan` before you apply"
        )
    session.__dict__["config"] = {"codat:desired": "connections.yaml"}
    for named in ("deep/all.yaml", "-", None):
        session.check_declared_by_file(named)


def test_an_import_of_a_shard_finds_what_is_its_own(
    emulator: Emulator, capfd: pytest.CaptureFixture[str]
) -> None:
    """The other companies are counted."""
    ids = [str(emulator.add_company(f"Company {number}")["id"]) for number in range(6)]
    shard = Shard(shard_number(ids[0], 50), 50)
    chosen = Settings(emulator.api_key, emulator.url, shard=shard)
    made = Session(Path(), stateless=True)
    state = {"deployment": {"resources": recorded_resources((), {SHARD: str(shard)})}}
    made.__dict__.update(settings=chosen, reader=Reader.configured(chosen), state=state)

    found = find_connections(made, Filters())

    own = [each for each in ids if shard.owns(each)]
    assert sorted(each.id for each in found.companies) == sorted(own)
    assert capfd.readouterr().err == f"{6 - len(own)} companies are of other shards than {shard}\n"
