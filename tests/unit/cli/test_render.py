"""What holds for every format: which there are, that nothing foreign gets out, and that it is quick."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given

from codat_iac.cli import render
from codat_iac.cli.render import FORMATS, Output
from codat_iac.model.connection import Address
from codat_iac.model.errors import ConfigError, EngineError, FileProblem
from codat_iac.planning.decision import Cause
from codat_iac.planning.plan import STEPS, Drifted, Plan, Unmanaged, summary
from tests.support.samples import (
    CALM,
    COVERED,
    DRIFTED,
    EVERY_STEP,
    EVERYTHING,
    FORBIDDEN,
    HOSTILE,
    NOW,
    OTP,
    URL,
    a_change,
    a_link,
    many,
    plans,
)

PROBLEMS = (
    FileProblem("connections.yaml", 12, 5, "acme/ledger: 'xero' is not a platform key"),
    FileProblem("b.yaml", 0, 0, "is empty"),
)

RENDERED: dict[str, Callable[[Output], str]] = {
    "plan": lambda output: render.plan(EVERYTHING, output, NOW),
    "coverage": lambda output: render.coverage(COVERED, FORBIDDEN, output, NOW),
    "drift": lambda output: render.drift(DRIFTED, output, NOW),
    "links": lambda output: render.links([a_link()], output, NOW),
    "problems": lambda output: render.problems(PROBLEMS, output, NOW),
}

EACH = [
    pytest.param(what, output, id=f"{what}, {output}")
    for what, outputs in FORMATS.items()
    for output in outputs
]
REPORTS = [Output.TEXT, Output.JSON, Output.MARKDOWN, Output.HTML]


def unfit(text: str) -> set[str]:
    """The characters that a terminal would obey instead of showing them."""
    return {
        character
        for character in text
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character)
        in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}
    } - {"\n"}


@pytest.mark.parametrize(("what", "output"), EACH)
def test_every_format_that_is_offered_exists_and_names_what_it_is_about(what: str, output: Output) -> None:
    """The registry promises nothing that isn't there."""
    rendered = RENDERED[what](output)

    assert ("acme/" if what != "coverage" else "acme") in rendered
    assert not rendered.endswith("\n")


@pytest.mark.parametrize(
    ("what", "output", "choices"),
    [
        ("plan", "csv", "text, json, markdown, html"),
        ("drift", "yaml", "text, json, markdown, html"),
        ("links", "markdown", "text, csv, json, html"),
        ("problems", "", "text, json, markdown, html"),
    ],
)
def test_a_format_that_a_command_has_not_is_an_error_that_names_those_it_has(
    what: str, output: str, choices: str
) -> None:
    """Links in Markdown would end up in a comment, for instance."""
    rendered: dict[str, Callable[[], str]] = {
        "plan": lambda: render.plan(EVERYTHING, output, NOW),
        "drift": lambda: render.drift(DRIFTED, output, NOW),
        "links": lambda: render.links([a_link()], output, NOW),
        "problems": lambda: render.problems(PROBLEMS, output, NOW),
    }
    with pytest.raises(ConfigError) as caught:
        rendered[what]()

    assert str(caught.value) == f"{what}: no output {output!r}; choose {choices}"


@pytest.mark.parametrize("output", REPORTS)
def test_an_empty_plan_is_a_full_sentence(output: Output) -> None:
    """Silence would leave the reader wondering whether it ran."""
    rendered = render.plan(Plan(declared=3, recorded=3), output, NOW)

    assert "No changes." in rendered
    assert "What you declared is what there is." in rendered


@pytest.mark.parametrize("output", REPORTS)
def test_no_drift_is_a_full_sentence(output: Output) -> None:
    """In JSON it is an empty list."""
    rendered = render.drift([], output, NOW)

    assert (
        '"drifted": []' if output is Output.JSON else "No drift. What was recorded is what there is."
    ) in (rendered)


@pytest.mark.parametrize("output", FORMATS["drift"])
def test_a_drift_names_its_stack(output: Output) -> None:
    """As a plan does; who runs several knows which one it is of."""
    rendered = render.drift(DRIFTED, output, NOW, of=render.Recorded("prod", 1234))

    if output is Output.JSON:
        assert (json.loads(rendered)["stack"], json.loads(rendered)["recorded"]) == ("prod", 1234)
    else:
        assert "Stack prod: 1,234 connections recorded." in rendered


@pytest.mark.parametrize("output", FORMATS["links"])
@pytest.mark.parametrize("waiting", [0, 1])
def test_the_links_name_their_stack(output: Output, waiting: int) -> None:
    """Also if there are none; a sheet has the columns that people's mail merges know, and nothing else."""
    rendered = render.links([a_link()][:waiting], output, NOW, of=render.Recorded("prod", 1))

    if output is Output.JSON:
        assert (json.loads(rendered)["stack"], json.loads(rendered)["recorded"]) == ("prod", 1)
    else:
        assert ("Stack prod: 1 connection recorded." in rendered) is (output is not Output.CSV)


@pytest.mark.parametrize("output", [Output.TEXT, Output.MARKDOWN, Output.HTML])
def test_how_to_record_the_drift_is_said_unless_it_is_being_recorded(output: Output) -> None:
    """That may fail, and then the hint would lead back to it."""
    assert "drift --acknowledge" in render.drift(DRIFTED, output, NOW)
    assert "drift --acknowledge" not in render.drift(DRIFTED, output, NOW, acknowledging=True)


@pytest.mark.parametrize("output", [Output.TEXT, Output.MARKDOWN, Output.HTML])
def test_a_check_without_problems_says_what_was_checked(output: Output) -> None:
    """So that an empty file doesn't look like a good one."""
    assert "12 connections: nothing is wrong." in render.problems([], output, NOW, checked="12 connections")
    assert "Nothing is wrong." in render.problems([], output, NOW)


def test_an_error_becomes_the_problems_that_it_carries_or_one_without_a_place() -> None:
    """So that a command that fails has a report in every format."""
    assert render.problems_of(ConfigError(PROBLEMS)) == tuple(sorted(PROBLEMS))
    assert render.problems_of(ConfigError("no file")) == (FileProblem("", 0, 0, "no file"),)
    assert render.problems_of(EngineError("no engine")) == (FileProblem("", 0, 0, "no engine"),)


@CALM
@given(plan=plans)
def test_nothing_foreign_reaches_a_terminal_in_any_format(plan: Plan) -> None:
    """A status with an escape sequence in it is a line of text, whatever is looked at."""
    for output in REPORTS:
        assert unfit(render.plan(plan, output, NOW, every=True)) == set()
    assert unfit(render.plan(plan, Output.TEXT, NOW, width=60, color=True)) <= {"\x1b"}


@CALM
@given(plan=plans)
def test_every_rendering_of_a_plan_can_be_written_as_utf_8(plan: Plan) -> None:
    """Half characters, which JSON can bring, would fail at the last moment."""
    for output in REPORTS:
        assert render.plan(plan, output, NOW).encode()


@pytest.mark.parametrize("output", REPORTS)
def test_a_link_stands_in_no_rendering_but_that_of_the_links(output: Output) -> None:
    """Wherever Codat's words, or ours about them, may have taken one along."""
    change = a_change(status=URL, connection_id=URL, moved_from=URL)
    told = dataclasses.replace(
        EVERYTHING,
        changes=(change,),
        waiting=(dataclasses.replace(EVERYTHING.waiting[0], status=URL, since=URL, text=f"follow {URL}."),),
        unmanaged=(Unmanaged("c", URL, URL, URL, URL),),
        problems=(dataclasses.replace(EVERYTHING.problems[0], text=f"see {URL}"),),
        notes=(f"see {URL}",),
        refusal=f"see {URL}",
        calls=dataclasses.replace(EVERYTHING.calls, quota_resets=URL),
    )

    assert OTP not in render.plan(told, output, NOW)
    assert OTP not in render.drift([Drifted(Address("a/b"), URL, URL, URL, URL, URL)], output, NOW)
    assert OTP not in render.problems([FileProblem(URL, 1, 1, f"see {URL}")], output, NOW, checked=URL)
    assert OTP not in summary(told)
    assert OTP not in repr(a_link())


@pytest.mark.parametrize("output", REPORTS)
def test_ten_thousand_changes_take_less_than_a_few_seconds(output: Output) -> None:
    """Measured: text 0.15 s, JSON 0.35 s, Markdown 0.01 s, HTML 0.3 s; here with room for coverage."""
    plan = many()
    started = time.process_time()
    render.plan(plan, output, NOW)

    assert time.process_time() - started < 5


def test_rendering_text_imports_neither_rich_nor_jinja() -> None:
    """They are slow to import, and most output is plain."""
    program = (
        "import sys; from datetime import datetime, UTC; from codat_iac.cli import render;"
        "from codat_iac.planning import plan;"
        "render.plan(plan.Plan(), 'text', datetime.now(UTC));"
        "print(sorted({'rich', 'jinja2', 'markupsafe', 'requests', 'pulumi'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_hostile_sample_is_hostile() -> None:
    """The tests that use it would say nothing otherwise."""
    assert unfit(HOSTILE) == {"\x1b", "\u202e"}


def test_the_samples_hold_every_kind_of_change() -> None:
    """What is tested on them is tested for all steps and causes."""
    assert {change.action for change in EVERY_STEP} == set(STEPS)
    assert {change.cause for change in EVERY_STEP} == set(Cause)
    assert {change.later for change in EVERY_STEP} == {True, False}
    assert {change.action for change in many().changes} == set(STEPS)


@pytest.mark.parametrize("output", render.FORMATS["problems"])
def test_a_warning_is_shown_and_is_no_problem(output: str) -> None:
    """In every format, below the problems."""
    rendered = render.problems([], output, NOW, checked="12 connections", warnings=["acme/x: set it"])

    assert "acme/x: set it" in rendered
    assert "1 problem" not in rendered
    if output == "text":
        assert rendered == "warning: acme/x: set it\n12 connections: nothing is wrong."
