"""Options that only one command has: what they take, and what they refuse."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import click
import pytest

from codat_iac.cli.commands import apply, drift
from codat_iac.cli.commands.drift import parse_statuses
from codat_iac.cli.commands.links import parse_age
from codat_iac.cli.session import Session
from codat_iac.model.errors import ConfigError
from codat_iac.planning.plan import Drifted, LinkFilter
from codat_iac.planning.rule_table import Action
from codat_iac.stack.apply.outcomes import Outcome, Result
from codat_iac.stack.stack import StackError
from tests.support.builders import a_desired, a_live, a_prior
from tests.support.project import recorded_resources
from tests.support.samples import DRIFTED


@pytest.mark.parametrize(
    ("given", "age"),
    [
        (None, None),
        ("7d", timedelta(days=7)),
        (" 12h ", timedelta(hours=12)),
        ("90m", timedelta(minutes=90)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_an_age_is_a_number_and_a_unit(given: str | None, age: timedelta | None) -> None:
    """As in most tools."""
    assert parse_age(None, None, given) == age


@pytest.mark.parametrize("given", ["", "7", "d", "-7d", "7 days", "1.5d", "7y", "999999d"])
def test_what_is_no_age_is_refused(given: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(click.BadParameter, match="is no time such as 7d, 12h, 90m or 2w"):
        parse_age(None, None, given)


def test_statuses_are_named_with_commas() -> None:
    """In any case, with spaces, and as often as one likes."""
    assert parse_statuses(None, None, None) == frozenset()
    assert parse_statuses(None, None, "deauthorized, Unlinked,ABSENT,Unlinked") == {
        "Deauthorized",
        "Unlinked",
        "absent",
    }


@pytest.mark.parametrize("given", ["", "Linked,", "gone", "Deauthorized Unlinked"])
def test_an_unknown_status_is_refused(given: str) -> None:
    """An alert that can never come is worse than none."""
    with pytest.raises(
        click.BadParameter, match="is none of PendingAuth, Linked, Deauthorized, Unlinked, absent"
    ):
        parse_statuses(None, None, given)


def test_an_unknown_age_is_never_old_enough() -> None:
    """But all is taken where no age is asked for."""
    now = datetime(2026, 11, 24, tzinfo=UTC)
    week = LinkFilter(older_than=timedelta(days=7))

    assert week.takes_since("2026-11-01T00:00:00Z", now)
    assert not week.takes_since("2026-11-20T00:00:00Z", now)
    assert not week.takes_since("", now)
    assert LinkFilter().takes_since("", now)
    assert LinkFilter().takes(a_live())
    assert not LinkFilter(platforms=frozenset({"fztf"})).takes(a_live())


@dataclasses.dataclass
class AStack:
    """A stack that records a status at each refresh."""

    becomes: str
    refreshed: list[str] = dataclasses.field(default_factory=list)

    def refresh(self, urns: Iterable[str]) -> None:
        """Note it."""
        self.refreshed += urns

    def export(self) -> dict[str, Any]:
        """Return a state with one connection."""
        prior = a_prior(11, a_desired("acme/bank"), self.becomes)
        return {"deployment": {"resources": recorded_resources([prior], {})}}


@dataclasses.dataclass
class ASession:
    """A session with that stack."""

    stack: AStack


def moved(stack: AStack) -> Drifted:
    """What moved on it."""
    urn = stack.export()["deployment"]["resources"][-1]["urn"]
    return dataclasses.replace(DRIFTED[0], connection_id=a_prior(11).id, urn=urn)


def test_what_moved_is_recorded_at_its_urn_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing else of the stack."""
    stack = AStack("Deauthorized")
    each = moved(stack)

    drift._record(cast("Session", ASession(stack)), [each, each])

    assert stack.refreshed == [each.urn]
    assert capsys.readouterr().err == "Recorded 2 connections; nothing is changed in Codat.\n"


def test_what_moved_once_more_is_not_called_recorded() -> None:
    """It isn't what was shown."""
    stack = AStack("Unlinked")

    with pytest.raises(StackError, match=r"^acme/bank moved once more while this was recorded; look at"):
        drift._record(cast("Session", ASession(stack)), [moved(stack)])


@pytest.mark.parametrize(
    ("what", "remedy"), [(apply._PLAN, "plan --output json"), (apply._LOSSES, "plan --losses-out FILE")]
)
def test_a_file_that_is_no_text_says_how_to_make_one(what: str, remedy: str) -> None:
    """Somebody may give a picture."""
    file = io.TextIOWrapper(io.BytesIO(b"\xff\xfe\xff"), "utf-8")
    file.buffer.name = "file"

    with pytest.raises(ConfigError, match=re.escape(remedy)):
        apply._read(file, what)


def test_an_apply_says_how_many_links_to_send() -> None:
    """In text as a sentence, in JSON as a number; and nothing where nobody waits."""
    outcomes = [Outcome("acme/a", Action.CREATE, Result.DONE)]

    assert apply._outcomes(outcomes, "text", 1, None).splitlines()[-2:] == [
        "Applied: 1 of 1 change.",
        "1 new connection waits for its customer; send the link now: `codat-iac links`.",
    ]
    assert json.loads(apply._outcomes(outcomes, "json", 1))["linksToSend"] == 1
    assert apply._outcomes(outcomes, "text").endswith("Applied: 1 of 1 change.")
    assert apply._done([*outcomes, Outcome("acme/b", Action.CREATE, Result.FAILED)]) == {"acme/a"}
