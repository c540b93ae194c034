"""The coverage of a tenant in every format, alone and as a part of a plan."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from codat_iac.cli import render
from codat_iac.cli.render import words
from codat_iac.cli.render.as_markdown import MOST_BYTES
from codat_iac.planning.plan import FORMAT_VERSION, Plan
from codat_iac.planning.plan.coverage import Coverage, Group, Kind, Tally
from tests.support import ROOT
from tests.support.samples import (
    CALM,
    COVERED,
    EVERYTHING,
    FORBIDDEN,
    HOSTILE,
    NOW,
    OTP,
    URL,
    coverages,
)

SCHEMA: dict[str, Any] = json.loads((ROOT / "schemas/coverage.schema.json").read_text())
PLAN_SCHEMA: dict[str, Any] = json.loads((ROOT / "schemas/plan.schema.json").read_text())

CHANGED = "The tenant changed while it was read, so it may be off."

TEXT = """\
Coverage of 3 companies: 2 declared, 1 that nobody declares.
  managed     3  the state holds them
  declared    1  the desired state means them, and the state doesn't hold them yet
  unmanaged   1  neither, in companies that are declared
  undeclared  2  in companies that nobody declares
  ignored     4  neither, and hidden by the policy

  PLATFORM  MANAGED  DECLARED  UNMANAGED  UNDECLARED  IGNORED  COVERED
  fztf      0        0         1          2           0        0.0 %
  gbol      3        1         0          0           4        100.0 %

  STATUS  MANAGED  DECLARED  UNMANAGED  UNDECLARED  IGNORED  COVERED
  Linked  3        1         1          2           4        57.1 %

  TAG              MANAGED  DECLARED  UNMANAGED  UNDECLARED  IGNORED  COVERED
  segment=lending  2        0         1          0           0        66.6 %

Not covered (3): 3 Linked
  undeclared  Curb & Sons                           fztf  Linked  00000000-0000-0000-0000-000000000021
  undeclared  00000000-0000-0000-0000-000000000009  fztf  Linked  00000000-0000-0000-0000-000000000022
  unmanaged   acme                                  fztf  Linked  00000000-0000-0000-0000-000000000023

Problems (1)
  acme: nobody here manages some of its live connections

Coverage: 57.1 %: 4 of 7 connections are managed or declared."""


def test_text_names_what_is_not_covered() -> None:
    """And counts it by platform, status and tag."""
    assert render.coverage(COVERED, FORBIDDEN, "text", NOW) == TEXT


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Coverage(), "Coverage: there is no connection to manage."),
        (
            Coverage(connections=Tally(managed=1)),
            "Coverage: 100.0 %: 1 of 1 connection is managed or declared.",
        ),
        (
            Coverage(complete=False, connections=Tally(undeclared=2)),
            f"Coverage: 0.0 %: 0 of 2 connections are managed or declared. {CHANGED}",
        ),
    ],
)
def test_a_coverage_is_one_sentence(found: Coverage, said: str) -> None:
    """Which says so if it isn't certain."""
    assert words.coverage_summary(found) == said
    assert render.coverage(found, (), "text", NOW).splitlines()[-1] == said
    assert "Not covered" not in render.coverage(found, (), "markdown", NOW)


def test_many_are_counted_unless_all_are_asked_for() -> None:
    """A tenant may have thousands of tags, and of connections that nobody manages."""
    tags = tuple(Group(f"customerId={n}", Tally(undeclared=1)) for n in range(30))
    many = dataclasses.replace(COVERED, tags=tags, uncovered=COVERED.uncovered * 20)

    cut = render.coverage(many, (), "text", NOW)
    whole = render.coverage(many, (), "text", NOW, every=True)

    assert "and 10 more; `codat-iac coverage --every` names all" in cut
    assert "and 40 more; `codat-iac coverage --every` names all" in cut
    assert "customerId=29" not in cut
    assert "customerId=29" in whole
    assert "more;" not in whole
    assert whole.count("Curb & Sons") == 20


def test_markdown_is_a_comment() -> None:
    """However large the tenant is, and whatever its companies are called."""
    shown = render.coverage(COVERED, FORBIDDEN, "markdown", NOW)
    assert "**Coverage: 57.1 %&#58; 4 of 7" in shown or "**Coverage: 57.1 %: 4 of 7" in shown
    assert "| Platform | Managed | Declared | Unmanaged | Undeclared | Ignored | Covered |" in shown
    assert "### Problems (1)" in shown
    assert "Not covered (3): 3 Linked" in shown
    rows = tuple(
        dataclasses.replace(COVERED.uncovered[0], company=HOSTILE * 10, status=HOSTILE) for _ in range(10_000)
    )
    groups = tuple(Group(f"{HOSTILE}{n}", Tally(undeclared=1)) for n in range(10_000))
    large = dataclasses.replace(COVERED, uncovered=rows, tags=groups, platforms=groups, statuses=groups)
    for text in (
        render.coverage(large, FORBIDDEN * 1000, "markdown", NOW),
        render.plan(dataclasses.replace(EVERYTHING, coverage=large), "markdown", NOW),
    ):
        assert len(text.encode()) < MOST_BYTES
        assert "and 9,9" in text
        assert "<script>" not in text


def test_json_fits_its_schema() -> None:
    """It is given whole, with what follows from it."""
    data = json.loads(render.coverage(COVERED, FORBIDDEN, "json", NOW))

    assert {key: value for key, value in data.items() if not isinstance(value, list)} == {
        "formatVersion": FORMAT_VERSION,
        "kind": "coverage",
        "generatedAt": "2026-11-24T11:05:00Z",
        "summary": "Coverage: 57.1 %: 4 of 7 connections are managed or declared.",
        "complete": True,
        "companies": {"declared": 2, "undeclared": 1},
        "connections": {
            "managed": 3,
            "declared": 1,
            "unmanaged": 1,
            "undeclared": 2,
            "ignored": 4,
            "percent": 57.1,
        },
    }
    assert data["platforms"][0]["name"] == "fztf"
    assert data["uncovered"][0] == {
        "kind": "undeclared",
        "company": "Curb & Sons",
        "companyId": "00000000-0000-0000-0000-000000000009",
        "connectionId": "00000000-0000-0000-0000-000000000021",
        "platformKey": "fztf",
        "status": "Linked",
        "policy": "report",
    }
    assert data["problems"] == [{"address": FORBIDDEN[0].address, "text": FORBIDDEN[0].text}]
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["formatVersion"]["const"] == FORMAT_VERSION
    assert SCHEMA["$defs"]["uncovered"]["items"]["properties"]["kind"]["enum"] == [
        Kind.UNMANAGED,
        Kind.UNDECLARED,
    ]


@CALM
@given(found=coverages)
def test_every_coverage_fits_the_schema(found: Coverage) -> None:
    """Whatever Codat calls things."""
    Draft202012Validator(SCHEMA).validate(json.loads(render.coverage(found, FORBIDDEN, "json", NOW)))


def test_a_plan_holds_the_same_thing() -> None:
    """The two schemas and the two documents agree."""
    shared = SCHEMA["$defs"].keys() - {"count"}
    assert {name: PLAN_SCHEMA["$defs"][name] for name in shared} == {
        name: SCHEMA["$defs"][name] for name in shared
    }
    alone = json.loads(render.coverage(COVERED, (), "json", NOW))
    part = json.loads(render.plan(Plan(coverage=COVERED), "json", NOW))["coverage"]
    assert part == {name: alone[name] for name in part}
    assert PLAN_SCHEMA["properties"]["coverage"]["required"] == list(part)
    assert PLAN_SCHEMA["properties"]["coverage"]["properties"] == {
        name: SCHEMA["properties"][name] for name in part
    }


@pytest.mark.parametrize("output", ["text", "markdown", "html"])
def test_a_plan_has_a_section_for_it_when_asked(output: str) -> None:
    """In the same words."""
    without = render.plan(EVERYTHING, output, NOW)
    shown = render.plan(dataclasses.replace(EVERYTHING, coverage=COVERED), output, NOW)

    assert "3 companies: 2 declared, 1 that nobody declares." in shown
    assert "segment=lending" in shown or "segment&#61;lending" in shown
    assert "that nobody declares" not in without


@pytest.mark.parametrize("output", ["text", "json", "markdown", "html"])
def test_no_link_gets_out(output: str) -> None:
    """Whatever holds one."""
    told = dataclasses.replace(
        COVERED,
        tags=(Group(URL, Tally()),),
        uncovered=(dataclasses.replace(COVERED.uncovered[0], company=URL, status=URL, platform_key=URL),),
    )

    assert OTP not in render.coverage(told, FORBIDDEN, output, NOW, every=True)
