"""JSON: the schema is the contract, and a saved plan read back is the plan, or one line says why not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from codat_iac.cli import render
from codat_iac.cli.render import parse_plan
from codat_iac.model.errors import ConfigError, FileProblem
from codat_iac.planning.plan import FORMAT_VERSION, STEPS, Plan
from tests.support import ROOT
from tests.support.samples import (
    CALM,
    DRIFTED,
    EVERYTHING,
    HOSTILE,
    NOW,
    OTP,
    URL,
    a_link,
    many,
    plans,
)

SCHEMA: dict[str, Any] = json.loads((ROOT / "schemas/plan.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
NOT_A_TIME = f"generatedAt breaks the schema's pattern of {SCHEMA['properties']['generatedAt']['pattern']}"
AGAIN = "; make it again with `codat-iac plan --output json --out FILE`"

everything = pytest.fixture(lambda: json.loads(render.plan(EVERYTHING, "json", NOW)))


def refusal(saved: object) -> str:
    """What is said of a saved plan that can't be used."""
    with pytest.raises(ConfigError) as caught:
        parse_plan(saved if isinstance(saved, str) else json.dumps(saved), "plan.json")
    text = str(caught.value)

    assert text.startswith("plan.json: ")
    assert "\n" not in text
    assert "\x1b" not in text
    return text.removeprefix("plan.json: ").removesuffix(AGAIN)


def nodes(value: Any) -> list[dict[str, Any]]:
    """All objects of a JSON document."""
    if isinstance(value, list):
        return [node for item in value for node in nodes(item)]
    if not isinstance(value, dict):
        return []
    return [value, *(node for item in value.values() for node in nodes(item))]


def test_the_schema_is_a_good_schema_and_allows_nothing_else() -> None:
    """Each object lists what it has, all of it required but for the shard, which only some stacks have."""
    Draft202012Validator.check_schema(SCHEMA)
    objects = [node for node in nodes(SCHEMA) if node.get("type") == "object"]

    assert len(objects) >= 8
    assert all(each["additionalProperties"] is False for each in objects)
    assert all(sorted(each["required"]) == sorted({*each["properties"]} - {"shard"}) for each in objects)


def test_the_schema_knows_the_steps_and_the_version() -> None:
    """A step that is added here must be added there."""
    change = SCHEMA["$defs"]["change"]["properties"]

    assert change["step"]["enum"] == list(STEPS)
    assert list(SCHEMA["properties"]["counts"]["properties"]) == list(STEPS)
    assert SCHEMA["properties"]["formatVersion"] == {
        "description": "Of this form. A reader refuses a higher one than it knows.",
        "const": FORMAT_VERSION,
    }


@CALM
@given(plan=plans)
def test_every_plan_that_is_rendered_fits_the_schema(plan: Plan) -> None:
    """Whatever Codat calls its statuses."""
    VALIDATOR.validate(json.loads(render.plan(plan, "json", NOW)))


@CALM
@given(plan=plans)
def test_a_saved_plan_read_back_is_the_plan(plan: Plan) -> None:
    """Nothing is lost, and nothing is made up."""
    assert parse_plan(render.plan(plan, "json", NOW)) == plan


def test_a_large_plan_is_read_back_too() -> None:
    """Ten thousand changes in about two seconds, which no machine is held to."""
    plan = many()

    assert parse_plan(render.plan(plan, "json", NOW)) == plan


def test_a_plan_is_given_whole(everything: dict[str, Any]) -> None:
    """In camelCase, with what follows from it, so that a script needs no rules of its own."""
    head = {key: value for key, value in everything.items() if not isinstance(value, list)}

    assert head == {
        "formatVersion": FORMAT_VERSION,
        "kind": "plan",
        "generatedAt": "2026-11-24T11:05:00Z",
        "summary": head["summary"],
        "exitCode": 1,
        "refusal": EVERYTHING.refusal,
        "losses": 3,
        "counts": {
            "create": 1,
            "adopt": 1,
            "move": 2,
            "update": 1,
            "unlink": 1,
            "replace": 1,
            "remove": 2,
        },
        "declared": 12,
        "recorded": 14,
        "stateless": False,
        "stack": "dev",
        "calls": {"reads": 9, "writes": 6, "quotaLeft": 986, "quotaResets": "2026-11-25T00:00:00Z"},
        "coverage": None,
    }
    assert head["summary"].startswith("Plan: 1 to create, ")
    assert everything["changes"][5] == {
        "address": "beta/ledger",
        "step": "replace",
        "cause": "both",
        "companyId": "8a210b68-6988-11ed-a1eb-0242ac120002",
        "platformKey": "gbol",
        "status": "Linked",
        "connectionId": "00000000-0000-0000-0000-000000000015",
        "movedFrom": None,
        "removal": "unlink",
        "loses": True,
        "losing": ["00000000-0000-0000-0000-000000000015"],
        "later": False,
        "fields": [
            {"name": "connectionId", "before": None, "after": "00000000-0000-0000-0000-000000000016"},
            {"name": "platformKey", "before": "gbol", "after": "fztf"},
        ],
    }
    assert [change["later"] for change in everything["changes"]] == [False] * 3 + [True] + [False] * 5
    assert everything["unmanaged"][0]["company"] == "beta"
    assert everything["waiting"][1]["since"] == "2026-11-24T09:00:00.1234567Z"


def test_each_object_of_a_list_has_a_line() -> None:
    """So `diff` and `grep` work, and a large plan is written fast."""
    lines = render.plan(EVERYTHING, "json", NOW).splitlines()

    assert len([line for line in lines if line.startswith('    {"address": "acme/')]) == 6
    assert all(line.isascii() for line in lines)


def test_drift_links_and_problems_are_given_whole_too() -> None:
    """Each says what it is; the links are whole, passwords included."""
    drift = json.loads(render.drift(DRIFTED[:1], "json", NOW))
    links = json.loads(render.links([a_link(company=HOSTILE)], "json", NOW))
    problems = json.loads(render.problems([FileProblem("a.yaml", 2, 3, "bad")], "json", NOW, checked="a"))

    assert drift == {
        "formatVersion": FORMAT_VERSION,
        "kind": "drift",
        "generatedAt": "2026-11-24T11:05:00Z",
        "stack": None,
        "recorded": 0,
        "drifted": [
            {
                "address": "acme/bank",
                "companyId": "8a210b68-6988-11ed-a1eb-0242ac120002",
                "connectionId": "00000000-0000-0000-0000-00000000000b",
                "platformKey": "suuo",
                "was": "Linked",
                "now": "Deauthorized",
            }
        ],
        "progress": [],
        "failing": [],
    }
    assert links["kind"] == "links"
    assert links["links"] == [
        {
            "address": "acme/c1",
            "company": HOSTILE,
            "platform": "Xero",
            "status": "PendingAuth",
            "since": "2026-11-21T11:00:00Z",
            "companyId": "",
            "connectionId": "",
            "platformKey": "",
            "url": URL,
        }
    ]
    assert problems["checked"] == "a"
    assert problems["problems"] == [{"path": "a.yaml", "line": 2, "column": 3, "message": "bad"}]


def test_a_link_in_a_companys_name_is_taken_out() -> None:
    """Only `url` holds one."""
    links = json.loads(render.links([a_link(company=URL)], "json", NOW))["links"]

    assert OTP not in links[0]["company"]
    assert OTP in links[0]["url"]


@pytest.mark.parametrize("text", ["", "Plan: 1 to create.", "{", "[" * 100_000, "\ufeff{}", "<html>", "NaN{"])
def test_what_is_not_json_is_no_saved_plan(text: str) -> None:
    """Such as the text that was printed."""
    assert refusal(text) == "is not JSON, so it is no saved plan"


@pytest.mark.parametrize(
    "saved",
    [{}, {"version": 3, "deployment": {}}, {"formatVersion": "1.2", "kind": "plan"}, {"formatVersion": 1}],
)
def test_another_tools_json_is_no_plan(saved: object) -> None:
    """A state, Terraform's plan, a report of ours."""
    assert refusal(saved) == "is no plan of codat-iac's"


@pytest.mark.parametrize("saved", [None, [], 1, "text", True])
def test_json_that_is_no_object_is_no_plan(saved: object) -> None:
    """It has no members to speak of."""
    assert refusal(json.dumps(saved)) == "is no plan of codat-iac's"


def test_our_other_reports_are_no_plans() -> None:
    """A drift report can't be applied."""
    assert refusal(render.drift(DRIFTED, "json", NOW)) == "is no plan of codat-iac's"


def test_a_newer_format_says_so(everything: dict[str, Any]) -> None:
    """It may mean what this version can't do, so it isn't tried."""
    assert refusal(everything | {"formatVersion": FORMAT_VERSION + 1, "phases": []}) == (
        f"was written by a newer codat-iac (formatVersion {FORMAT_VERSION + 1}, and this one reads"
        f" {FORMAT_VERSION}); upgrade codat-iac, or"
        " make it again with `codat-iac plan --output json --out FILE`"
    )


@pytest.mark.parametrize("version", [0, FORMAT_VERSION - 1])
def test_a_format_that_is_no_longer_read_says_so(everything: dict[str, Any], version: int) -> None:
    """Such a plan is soon made again; what it doesn't say is not guessed."""
    assert refusal(everything | {"formatVersion": version}) == (
        f"formatVersion {version} is none that codat-iac reads"
    )


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    """An edit of a saved plan, as a parameter."""
    return change


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        pytest.param(edited(lambda p: p.pop("changes")), "changes is missing", id="missing list"),
        pytest.param(edited(lambda p: p.pop("summary")), "summary is missing", id="missing summary"),
        pytest.param(edited(lambda p: p.update(changes={})), "changes is not a list", id="no list"),
        pytest.param(
            edited(lambda p: p["changes"].insert(1, "x")), "changes[1] is not an object", id="no object"
        ),
        pytest.param(
            edited(lambda p: p["changes"][0].pop("status")),
            "changes[0].status is missing",
            id="missing member",
        ),
        pytest.param(
            edited(lambda p: p["changes"][2].update(step="explode")),
            "changes[2].step is none of create, adopt, move, update, unlink, replace, remove",
            id="unknown step",
        ),
        pytest.param(
            edited(lambda p: p["changes"][2].update(cause="you changed it")),
            "changes[2].cause is none of you, they, both",
            id="unknown cause",
        ),
        pytest.param(
            edited(lambda p: p["changes"][0].update(address=None)),
            "changes[0].address is not a text",
            id="no text",
        ),
        pytest.param(
            edited(lambda p: p["changes"][0].update(removal=1)),
            "changes[0].removal is none of unlink, delete, forget, null",
            id="no removal",
        ),
        pytest.param(
            edited(lambda p: p["changes"][0].update(removal="create")),
            "changes[0].removal is none of unlink, delete, forget, null",
            id="unknown removal",
        ),
        pytest.param(
            edited(lambda p: p["changes"][0].update(losing=[1])),
            "changes[0].losing[0] is not a text",
            id="no text or null",
        ),
        pytest.param(
            edited(lambda p: p["changes"][0].update(loses=0)),
            "changes[0].loses is not true or false",
            id="no flag",
        ),
        pytest.param(
            edited(lambda p: p["changes"][3].pop("later")),
            "changes[3].later is missing",
            id="nothing of a second run",
        ),
        pytest.param(edited(lambda p: p.update(declared=True)), "declared is not a number", id="no number"),
        pytest.param(edited(lambda p: p.update(declared=1.0)), "declared is not a number", id="a fraction"),
        pytest.param(
            edited(lambda p: p.update(recorded=-1)),
            "recorded breaks the schema's minimum of 0",
            id="negative",
        ),
        pytest.param(
            edited(lambda p: p["counts"].update(remove=True)), "counts.remove is not a number", id="no count"
        ),
        pytest.param(
            edited(lambda p: p.update(exitCode=1.0)), "exitCode is not a number", id="a fraction for a code"
        ),
        pytest.param(
            edited(lambda p: p.update(exitCode=5)), "exitCode is none of 0, 1, 2, 3, 4", id="no exit code"
        ),
        pytest.param(
            edited(lambda p: p["calls"].update(quotaLeft="9")),
            "calls.quotaLeft is not a number or null",
            id="no number or null",
        ),
        pytest.param(edited(lambda p: p.update(calls=[])), "calls is not an object", id="calls"),
        pytest.param(edited(lambda p: p.update(notes=["a", 1])), "notes[1] is not a text", id="texts"),
        pytest.param(edited(lambda p: p.update(notes="a")), "notes is not a list", id="no texts"),
        pytest.param(edited(lambda p: p.update(generatedAt="2026-11-24")), NOT_A_TIME, id="only a day"),
        pytest.param(edited(lambda p: p.update(generatedAt="now")), NOT_A_TIME, id="no time"),
        pytest.param(
            edited(lambda p: p.update(generatedAt="2026-11-24T11:05:00Z\n")), NOT_A_TIME, id="a line more"
        ),
        pytest.param(
            edited(lambda p: p["changes"][0].update(note="x")),
            "changes[0] has a member 'note', which codat-iac doesn't write",
            id="a member more",
        ),
        pytest.param(
            edited(lambda p: p["calls"].update(polls=1)),
            "calls has a member 'polls', which codat-iac doesn't write",
            id="a call more",
        ),
        pytest.param(
            edited(lambda p: p.update({"x\x1b[1m": 1})),
            "has a member 'x [1m', which codat-iac doesn't write",
            id="hostile",
        ),
        pytest.param(
            edited(lambda p: p.update({URL: 1})),
            "has a member '***', which codat-iac doesn't write",
            id="a link",
        ),
        pytest.param(
            edited(lambda p: p.update(hint=None)),
            "has a member 'hint', which codat-iac doesn't write",
            id="null",
        ),
    ],
)
def test_a_saved_plan_that_was_spoilt_says_where(
    everything: dict[str, Any], edit: Callable[[dict[str, Any]], object], said: str
) -> None:
    """One line, with the path of what is wrong."""
    edit(everything)

    assert refusal(everything) == said


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        pytest.param(edited(lambda p: p.update(losses=0)), "losses", id="losses"),
        pytest.param(edited(lambda p: p.update(exitCode=0)), "exitCode", id="exit code"),
        pytest.param(edited(lambda p: p["counts"].update(remove=7)), "counts.remove", id="counts"),
        pytest.param(edited(lambda p: p["changes"].pop()), "counts.unlink, losses", id="a change less"),
        pytest.param(
            edited(lambda p: p.update(counts=dict.fromkeys(p["counts"], 9))),
            "counts.adopt, counts.create, counts.move, counts.remove, counts.replace and 2 more",
            id="all counts",
        ),
        pytest.param(edited(lambda p: p["problems"][0].update(text=URL)), "problems[0].text", id="a link"),
        pytest.param(
            edited(lambda p: p.update(generatedAt="2026-13-24T11:05:00Z")), "generatedAt", id="no such month"
        ),
    ],
)
def test_a_saved_plan_that_was_edited_is_refused(
    everything: dict[str, Any], edit: Callable[[dict[str, Any]], object], named: str
) -> None:
    """What is applied is what was shown: its counts follow from its changes, and nothing else is in it."""
    edit(everything)

    assert refusal(everything) == f"was edited at {named}"


@pytest.mark.parametrize("depth", [50, 900, *range(985, 1000)])
def test_what_is_too_deep_is_refused_in_one_line_too(everything: dict[str, Any], depth: int) -> None:
    """Whether Python gives up reading it or checking it."""
    text = json.dumps(everything | {"changes": [0]}).replace("[0]", "[" * depth + "]" * depth)

    assert refusal(text) in {"changes[0] is not an object", "is not JSON, so it is no saved plan"}


def test_only_a_saved_plan_needs_what_is_slow_to_import() -> None:
    """Every other plan is there a third of a second sooner."""
    program = "import sys, codat_iac.cli.commands.plan; print({'deepdiff', 'jsonschema'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


def test_the_order_of_members_and_the_wording_of_the_summary_do_not_matter(
    everything: dict[str, Any],
) -> None:
    """`jq -S` may have gone over it, and another version may have written it."""
    everything["summary"] = "Plan: much."

    assert parse_plan(json.dumps(everything, sort_keys=True, indent=2)) == EVERYTHING


VALUES: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, -1, 1.5, "", "x", [], {}, [{}], {"a": 1}])


@settings(CALM, max_examples=300)
@given(data=st.data())
def test_whatever_is_done_to_a_saved_plan_it_is_refused_or_fits_the_schema(data: st.DataObject) -> None:
    """There is no third way, such as a traceback."""
    saved = json.loads(render.plan(EVERYTHING, "json", NOW))
    node = data.draw(st.sampled_from(nodes(saved)))
    key = data.draw(st.sampled_from([*node, "other"]))
    node[key] = data.draw(VALUES)
    try:
        plan = parse_plan(json.dumps(saved))
    except ConfigError as error:
        said = str(error)
    else:
        said = "-"
        VALIDATOR.validate(saved)
        assert json.loads(render.plan(plan, "json", NOW)) | {"summary": ""} == saved | {"summary": ""}

    assert len(said.splitlines()) == 1


def test_a_shard_is_in_the_plan_if_the_stack_has_one() -> None:
    """A plan of all has no such member, so that it is as it was."""
    sharded = Plan(stack="prod-2", shard="2/5")

    document = render.plan(sharded, "json", NOW)

    assert json.loads(document)["shard"] == "2/5"
    assert parse_plan(document) == sharded
    assert "shard" not in json.loads(render.plan(Plan(stack="prod"), "json", NOW))
