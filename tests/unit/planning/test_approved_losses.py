"""The file that approves losses by name: what is written, what is read, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest

from codat_iac.cli import render
from codat_iac.model.errors import ConfigError
from codat_iac.planning.plan import Plan
from codat_iac.planning.plan.approved_losses import parse_approved_losses, written
from codat_iac.planning.rule_table import Action
from tests.support.samples import EVERYTHING, NOW, a_change, an_id


def parse(text: str, name: str = "f") -> frozenset[str]:
    """What the text of a file approves."""
    return parse_approved_losses(text, name, render.parse_plan)


def test_what_is_written_is_read() -> None:
    """As a list, and as the plan itself, with all old halves of replacements at one address."""
    half = a_change(
        "acme/x",
        Action.REPLACE,
        losing=(an_id(40), an_id(41), an_id(42)),
        connection_id=an_id(40),
        removal=Action.UNLINK,
    )
    plan = dataclasses.replace(EVERYTHING, changes=(*EVERYTHING.changes, half))
    ids = {an_id(number) for number in (21, 23, 25, 40, 41, 42)}

    assert parse(written(plan)) == ids
    assert parse(render.plan(plan, "json", NOW)) == parse(f"\n {render.plan(plan, 'json', NOW)}") == ids
    assert written(plan).splitlines()[1] == f"{an_id(21)}  # beta/ledger"


def test_a_plan_that_loses_nothing_approves_nothing() -> None:
    """Which is not the same as no file."""
    assert written(Plan()) == (
        "# Whose customers would have to authorise again; for `codat-iac apply --approve-losses FILE`."
    )
    assert parse(written(Plan())) == frozenset()
    assert parse("") == frozenset()


def test_ids_may_stand_in_any_case_with_comments_and_empty_lines() -> None:
    """People edit it."""
    assert parse(f"\n# mine\n  {an_id(171).upper()}  # acme\n\n") == {an_id(171)}


@pytest.mark.parametrize("line", ["acme/ledger", f"{an_id(1)} {an_id(2)}", "[]", an_id(1)[:-1], "\x1b[1m"])
def test_what_is_no_id_is_refused_with_its_line(line: str) -> None:
    """An address may get another connection, so it approves nothing."""
    remedy = "write the file with `codat-iac plan --losses-out FILE`"
    with pytest.raises(ConfigError, match=rf"^losses\.txt, line 2: .* is no id of a connection; {remedy}$"):
        parse(f"# first\n{line}\n", "losses.txt")


def test_an_edited_plan_approves_nothing() -> None:
    """It isn't the one that was reviewed."""
    edited = (
        render.plan(EVERYTHING, "json", NOW)
        .replace(an_id(23), an_id(99))
        .replace('"losses": 3', '"losses": 2')
    )

    with pytest.raises(ConfigError, match=r"^plan\.json: was edited at losses"):
        parse(edited, "plan.json")
