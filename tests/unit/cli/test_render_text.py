"""The text for a terminal: what it says, that it lines up, and what width and colour do to it."""

from __future__ import annotations

import dataclasses
import re

import pytest

from codat_iac.cli import render
from codat_iac.cli.render import layout
from codat_iac.model.errors import FileProblem
from codat_iac.planning import plan as plans
from codat_iac.planning.decision import Cause, Field
from codat_iac.planning.plan import Calls, Plan
from codat_iac.planning.rule_table import Action
from tests.support.samples import (
    DRIFTED,
    EVERY_STEP,
    EVERYTHING,
    HOSTILE,
    NOW,
    a_change,
    a_link,
    a_waiting,
    an_unmanaged,
    many,
)

WHOLE = """\
Stack dev: 12 connections declared, 14 recorded.

acme, Acme Ltd (8a210b68-6988-11ed-a1eb-0242ac120002)
  +    adopt   acme/bank    Xero (gbol)  PendingAuth  new in your file
        connection 00000000-0000-0000-0000-00000000000b
  ~    move    acme/books   Xero (gbol)  Linked       changed in your file; was acme/ledger
        connection 00000000-0000-0000-0000-00000000000c
  ~    update  acme/cards   Xero (gbol)  Linked       changed in your file
        onRemoval: unlink -> delete
        connection 00000000-0000-0000-0000-00000000000d
  ~    move    acme/ledger  Xero (gbol)  Linked       changed in your file; was acme/ledger-2; comes in \
a second run, since its name is taken until then
        connection 00000000-0000-0000-0000-00000000000e
  +    create  acme/shop    fztf         absent       new in your file; then waits for its customer

beta, Acme Ltd (8a210b68-6988-11ed-a1eb-0242ac120002)
  -/+  replace  beta/ledger  Xero (gbol)  Linked    changed in your file, and changed in Codat; the old \
one is unlinked; then waits for its customer; LOSES the customer's authorisation
        connectionId: (none) -> 00000000-0000-0000-0000-000000000016
        platformKey: gbol -> fztf
        connection 00000000-0000-0000-0000-000000000015
  -    remove   beta/old     suuo         Linked    no longer in your file; the connection is deleted; \
LOSES the customer's authorisation
        connection 00000000-0000-0000-0000-000000000017
  -    remove   beta/older   Xero (gbol)  Unlinked  no longer in your file, and changed in Codat; the \
connection is removed from our records and stays in Codat
        connection 00000000-0000-0000-0000-000000000018
  ~    unlink   beta/shop    Xero (gbol)  Linked    changed in Codat; LOSES the customer's authorisation
        status: Linked -> Unlinked
        connection 00000000-0000-0000-0000-000000000019

Waits for a customer (3): 1 Deauthorized, 1 PendingAuth, 1 Unlinked
  beta/c00002  suuo  Deauthorized  2 hours  it waits for its customer to follow the link
  beta/c00003  suuo  Unlinked      -        it waits for its customer to follow the link
  beta/c00001  suuo  PendingAuth   3 days   it waits for its customer to follow the link

Not managed here (2): 1 Linked, 1 PendingAuth
  beta                                  fztf  Linked       00000000-0000-0000-0000-00000000001f
  00000000-0000-0000-0000-000000000002  fztf  PendingAuth  00000000-0000-0000-0000-000000000020

Problems (1)
  acme/gone: there is nothing to unlink, since it doesn't exist; declare it `Linked`, or take it out of \
the file

Notes (1)
  acme/odd: its status is 'Migrating', which codat-iac doesn't know, so it is left alone

An apply makes 15 calls (9 reads, 6 writes); 986 are left of today's quota, which resets at 00:00 UTC on \
25 November 2026.
Unsafe: would end 3 authorisations of 14 recorded connections (beta/ledger, beta/old, beta/shop), whose \
customers would have to authorise again; nothing is done. If you mean it, set CODAT_MAX_LOSSES=3 for \
this run
Plan: 1 to create, 1 to adopt, 2 to move, 1 to update, 1 to unlink, 1 to replace, 2 to remove. 1 of them \
comes in a second run. 3 customers would have to authorise again. 2 new connections will wait for their \
customers. 1 problem to solve first. 3 connections wait for their customers."""


def uncoloured(text: str) -> str:
    """The text without the escapes of colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_plan_of_everything_reads_like_this() -> None:
    """What apply does, by company; what waits; what isn't ours; problems, notes, cost, limit, summary."""
    assert render.plan(EVERYTHING, "text", NOW) == WHOLE


def test_a_plan_in_sync_is_one_line() -> None:
    """Nothing else is said where there is nothing else."""
    assert render.plan(Plan(), "text", NOW) == "No changes. What you declared is what there is."


def test_only_waiting_says_whom_for() -> None:
    """It is no change."""
    rendered = render.plan(Plan(waiting=(a_waiting(),)), "text", NOW)

    assert rendered.splitlines()[-1] == (
        "No changes. What you declared is what there is. 1 connection waits for its customer."
    )


def test_a_problem_alone_is_not_called_in_sync() -> None:
    """What was declared is then not what there is."""
    rendered = render.plan(Plan(problems=EVERYTHING.problems), "text", NOW)

    assert rendered.splitlines()[-1] == "No changes. 1 problem to solve first."


def test_without_a_state_the_plan_says_so() -> None:
    """It can't know what to remove."""
    rendered = render.plan(Plan(stateless=True), "text", NOW)

    assert "  No state was read: this matches by company and platform, and removes nothing." in rendered


def test_each_line_can_be_found_by_its_address_and_its_step() -> None:
    """`grep` is how ten thousand lines are read."""
    lines = render.plan(EVERYTHING, "text", NOW).splitlines()
    for change in EVERY_STEP:
        found = [line for line in lines if f" {change.action} " in line and f" {change.address} " in line]

        assert len(found) == 1
        assert ("LOSES" in found[0]) == change.loses


def test_changes_are_never_cut() -> None:
    """They are what is agreed to; a pager is at hand."""
    plan = many(3000)
    rendered = render.plan(plan, "text", NOW)

    assert all(f" {change.address} " in rendered for change in plan.changes)


def test_one_reason_is_one_problem_whoever_has_it() -> None:
    """Twenty-six lines with the same text hide that there is one thing to do."""
    named = [(f"acme/c{each}", "it is `wrong`") for each in range(26)] + [("beta/x", "it is odd")]
    plan = Plan(problems=tuple(plans.Problem(address, f"{address}: {text}") for address, text in named))
    shown = {output: render.plan(plan, output, NOW) for output in ("text", "markdown", "html")}

    assert shown["text"].startswith(
        "Problems (27)\n  acme/c0, acme/c1, acme/c2, acme/c3, acme/c4 and 21 more: it is `wrong`\n"
        "  beta/x: it is odd\n"
    )
    assert (
        "| acme/c0, acme/c1, acme/c2, acme/c3, acme/c4 and 21 more | it is <code>wrong</code> |"
        in (shown["markdown"])
    )
    assert shown["html"].count("it is <code>wrong</code>") == 1
    assert "acme/c25</code>" in shown["html"]
    assert "acme/c25: it is `wrong`" in render.plan(plan, "text", NOW, every=True)


def test_what_only_waits_is_counted_beyond_twenty_and_what_broke_last_is_named() -> None:
    """Thousands may wait at each run; what was revoked today must not hide behind them."""
    waiting = [a_waiting(each, since=f"2026-10-{1 + each % 25:02}") for each in range(1, 101)]
    waiting += [a_waiting(101, "Deauthorized", "2026-11-24T09:00:00Z")]
    rendered = render.plan(Plan(waiting=tuple(waiting)), "text", NOW)

    assert "Waits for a customer (101): 100 PendingAuth, 1 Deauthorized\n  beta/c00101 " in rendered
    assert "  and 81 more; `codat-iac plan --every` names all" in rendered
    assert "54 days" in rendered
    assert "30 days" not in rendered


def test_a_senseless_date_is_no_age() -> None:
    """Codat's servers write the first day of all where they have none."""
    waiting = tuple(a_waiting(each, since=since) for each, since in enumerate(["0001-01-01T00:00:00", "?"]))
    rendered = render.plan(Plan(waiting=waiting), "text", NOW)

    assert rendered.count("  PendingAuth  -  ") == 2
    assert " days" not in rendered


def test_what_is_not_managed_is_counted_beyond_twenty() -> None:
    """A company may have many connections of its own."""
    rendered = render.plan(Plan(unmanaged=tuple(map(an_unmanaged, range(25)))), "text", NOW)

    assert "Not managed here (25): 25 Linked" in rendered
    assert rendered.count("fztf") == 20
    assert "\n  and 5 more; `codat-iac plan --every` names all\n" in rendered


def test_every_names_everything() -> None:
    """For those who ask."""
    plan = many(1000)
    rendered = render.plan(plan, "text", NOW, every=True)

    assert all(each.address in rendered for each in plan.waiting)
    assert all(each.connection_id in rendered for each in plan.unmanaged)
    assert " more" not in rendered


def test_a_width_wraps_sentences_below_themselves() -> None:
    """And changes nothing else."""
    rendered = render.plan(EVERYTHING, "text", NOW, width=100)

    assert max(map(len, rendered.splitlines())) <= 100
    assert rendered.split() == WHOLE.split()
    assert (
        "  -/+  replace  beta/ledger  Xero (gbol)  Linked    changed in your file, and changed in Codat; the"
        "\n                                                    old one is unlinked; then waits for its\n"
        "                                                    customer; LOSES the customer's authorisation\n"
    ) in rendered


def test_a_narrow_terminal_wraps_at_a_small_indent() -> None:
    """Where there is no room beside the columns, the sentence goes on below them."""
    rendered = render.plan(EVERYTHING, "text", NOW, width=60)

    assert rendered.split() == WHOLE.split()
    assert (
        "  -/+  replace  beta/ledger  Xero (gbol)  Linked    changed\n"
        "        in your file, and changed in Codat; the old one is\n"
        "        unlinked; then waits for its customer;\n"
        "        LOSES the customer's authorisation\n"
    ) in rendered


@pytest.mark.parametrize("width", [1, 20, 40, 80, 200, None])
def test_colours_change_nothing_but_colours(width: int | None) -> None:
    """What a terminal shows is what a pipe gets."""
    plain = render.plan(EVERYTHING, "text", NOW, width=width)
    coloured = render.plan(EVERYTHING, "text", NOW, width=width, color=True)

    assert uncoloured(coloured) == plain
    assert coloured != plain


def test_signs_and_losses_are_coloured() -> None:
    """As everywhere: green adds, yellow changes, red removes."""
    coloured = render.plan(EVERYTHING, "text", NOW, color=True)

    assert "\x1b[32m  + \x1b[0m   create" in coloured
    assert "\x1b[33m  ~ \x1b[0m   unlink" in coloured
    assert "\x1b[31m  - \x1b[0m   remove" in coloured
    assert "\x1b[35m  -/+ \x1b[0m replace" in coloured
    assert coloured.count("\x1b[1;31mLOSES the customer's authorisation\x1b[0m") == 3
    assert "\x1b[1;31mUnsafe: \x1b[0mwould end" in coloured


def test_a_cost_over_the_quota_stands_out() -> None:
    """The apply would stop half-way."""
    plan = Plan(changes=(a_change(),), calls=Calls(10, 10, 5))

    assert "\x1b[1;33mAn apply makes 20 calls (10 reads, 10 writes), MORE than the 5 left" in render.plan(
        plan, "text", NOW, color=True
    )


def test_hostile_text_stays_on_its_line() -> None:
    """It can neither start a line of its own nor colour anything."""
    change = dataclasses.replace(a_change("acme/ledger", Action.REMOVE), status=HOSTILE)
    head, line, *_ = render.plan(Plan(changes=(change,)), "text", NOW).splitlines()

    assert head.startswith("acme ")
    assert (
        "<script>alert(1)</script> | `x` **y** [z](http://evil.example) @admin #1  [31m next $a$ :x:" in line
    )


def test_drift_reads_like_this() -> None:
    """A line each, and the sum."""
    assert render.drift(DRIFTED, "text", NOW) == (
        "  ~  acme/bank    suuo  Linked -> Deauthorized  00000000-0000-0000-0000-00000000000b\n"
        "  -  acme/ledger  gbol  Linked -> absent        00000000-0000-0000-0000-00000000000c\n"
        "  ~  beta/shop    fztf  Linked -> Deauthorized  00000000-0000-0000-0000-000000000019\n"
        "\n"
        "Drift: 3 connections are not as recorded: 2 Linked -> Deauthorized, 1 Linked -> absent.\n"
        "To record this, so that it is no longer shown: `codat-iac drift --acknowledge`."
    )


def test_the_stack_of_a_drift_stands_above_it() -> None:
    """In a paragraph of its own, as in a plan."""
    rendered = render.drift((), "text", NOW, of=render.Recorded("dev", 2), color=True)

    assert rendered == (
        "\x1b[1mStack dev: 2 connections recorded.\x1b[0m\n\n"
        "\x1b[1mNo drift. What was recorded is what there is.\x1b[0m"
    )


def test_problems_read_like_error_messages() -> None:
    """Where, what, what to do."""
    found = [FileProblem("a.yaml", 2, 3, "acme/x: is bad"), FileProblem("", 0, 0, "no engine")]

    assert render.problems(found, "text", NOW, checked="3 files") == (
        "a.yaml, line 2, column 3: acme/x: is bad\nno engine\n3 files: 2 problems."
    )


def test_columns_count_what_a_terminal_shows() -> None:
    """A wide character takes two columns, and an overlong cell pushes its own row only."""
    assert layout.columns([("漢字", "x"), ("abcd", "y"), ("é", "z")]) == ["漢字  x", "abcd  y", "é     z"]
    long = "a" * 60
    assert layout.columns([(long, "x"), ("b", "y")]) == [f"{long}  x", "b" + " " * 45 + "y"]
    assert layout.columns([]) == []
    assert layout.rows_with_text([], 80) == []


def test_a_long_name_is_cut_between_characters() -> None:
    """Names have up to 200 characters."""
    assert layout.shortened("short") == "short"
    assert layout.shortened("a" * 45) == "a" * 41 + "..."
    assert layout.shortened("漢" * 45) == "漢" * 20 + "..."


def test_an_overlong_word_is_left_alone() -> None:
    """There is no place to break it."""
    assert layout.hanging("a" * 50, "", 20) == "a" * 50


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Whatever it says; only a link stays whole, since it is copied."""
    shown = [
        render.plan(EVERYTHING, "text", NOW, width=width),
        render.plan(many(60), "text", NOW, width=width),
        render.drift(DRIFTED, "text", NOW, width=width),
        render.links([a_link(url="https://link-api.codat.io/x")], "text", NOW, width=width),
    ]

    assert max(len(line) for each in shown for line in each.splitlines()) <= width


def test_what_we_say_needs_no_unicode() -> None:
    """A terminal may have none; a name of Codat's is Codat's."""
    for output in ("text", "markdown", "html"):
        assert render.plan(EVERYTHING, output, NOW).isascii()


def test_a_replacement_of_what_is_gone_says_that_it_will_wait() -> None:
    """It isn't `Linked` when it is made."""
    change = a_change(
        action=Action.REPLACE,
        cause=Cause.THEY,
        removal=Action.FORGET,
        connection_id="x",
        fields=(Field("status", "absent", "Linked"),),
    )
    rendered = render.plan(Plan(changes=(change,)), "text", NOW)

    assert "deleted in Codat; removed from our records; then waits for its customer\n" in rendered
    assert "status: absent -> PendingAuth\n" in rendered
    assert rendered.endswith("1 new connection will wait for its customer.")


PROGRESS = (dataclasses.replace(DRIFTED[0], was="PendingAuth", now="Linked"),)
KNOWN = (dataclasses.replace(DRIFTED[0], was="Deauthorized"),)


def test_progress_is_told_as_progress() -> None:
    """It is no drift, and nothing is hidden."""
    assert render.drift((), "text", NOW, progress=PROGRESS) == (
        "  +  acme/bank  suuo  PendingAuth -> Linked  00000000-0000-0000-0000-00000000000b\n\n"
        "No drift. Progress: 1 connection has been authorised since: 1 PendingAuth -> Linked.\n"
        "To record this, so that it is no longer shown: `codat-iac drift --acknowledge`."
    )
    both = render.drift(DRIFTED, "text", NOW, progress=PROGRESS * 2)
    assert "Drift: 3 connections are not as recorded" in both
    assert "Progress: 2 connections have been authorised since: 2 PendingAuth -> Linked." in both


@pytest.mark.parametrize("output", ["text", "markdown", "html"])
def test_what_is_alerted_of_is_named(output: str) -> None:
    """Also if nothing moved since it was recorded."""
    rendered = render.drift((), output, NOW, failing=(*KNOWN, DRIFTED[1]))

    assert "Alert: 2 connections have a status that --fail-on names: 1 Deauthorized, 1 absent." in rendered
    assert "acme/bank" in rendered
    assert "No drift. What was recorded is what there is." in rendered
    assert "acknowledge" not in rendered
    assert "1 connection has a status" in render.drift((), output, NOW, failing=KNOWN)
