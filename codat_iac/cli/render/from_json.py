"""Read a saved plan: the exact inverse of `as_json.plan`.

What is applied must be what was shown. So a plan that this version wouldn't have written, down to the counts,
is refused: somebody edited it, or another tool wrote it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from codat_iac.cli.render.as_json import CAUSES, document
from codat_iac.cli.render.words import timestamp
from codat_iac.model import errors
from codat_iac.model.comparison import differing_paths, dotted
from codat_iac.model.connection import Address
from codat_iac.model.errors import ConfigError
from codat_iac.model.text import join_names, safe_text
from codat_iac.model.times import parse_time
from codat_iac.planning.decision import Decision, Field
from codat_iac.planning.plan import FORMAT_VERSION, Calls, Plan, Problem, Unmanaged, Waiting
from codat_iac.planning.plan.coverage import Coverage, Group, Kind, Tally, Uncovered
from codat_iac.planning.plan.unmanaged import OnUnmanaged
from codat_iac.planning.rule_table import Action

_AGAIN = "make it again with `codat-iac plan --output json --out FILE`"
_CAUSES = {word: cause for cause, word in CAUSES.items()}
_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}


def parse_plan(text: str, name: str = "the saved plan") -> Plan:
    """Read a plan from JSON. Raises `ConfigError` with one line, which begins with *name*."""
    try:
        data = json.loads(text)
        wrong = _wrong_format(data) or _against_schema(data)
    except (ValueError, RecursionError):
        wrong = f"is not JSON, so it is no saved plan; {_AGAIN}"
    if wrong:
        raise ConfigError(f"{name}: {wrong}")
    plan = _plan(data)
    edited = _edited(plan, data)
    if edited:
        raise ConfigError(f"{name}: was edited at {join_names(edited)}; {_AGAIN}")
    return plan


def parse_problems(text: str) -> tuple[errors.FileProblem, ...]:
    """Read the problems that a command wrote in place of its result, none if *text* is something else."""
    try:
        data = json.loads(text)
        if data["kind"] != "problems" or data["formatVersion"] != FORMAT_VERSION:
            return ()
        return tuple(
            errors.FileProblem(str(row["path"]), int(row["line"]), int(row["column"]), str(row["message"]))
            for row in data["problems"]
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return ()


def _wrong_format(data: Any) -> str:
    """Return why this is no plan that can be read, or an empty text."""
    version = data.get("formatVersion") if isinstance(data, dict) and data.get("kind") == "plan" else None
    if type(version) is not int:
        return f"is no plan of codat-iac's; {_AGAIN}"
    if version > FORMAT_VERSION:
        return (
            f"was written by a newer codat-iac (formatVersion {version}, and this one reads"
            f" {FORMAT_VERSION}); upgrade codat-iac, or {_AGAIN}"
        )
    if version < FORMAT_VERSION:
        return f"formatVersion {version} is none that codat-iac reads; {_AGAIN}"
    return ""


def _against_schema(data: Any) -> str:
    """Return the first violation of the schema in words, or an empty text."""
    from codat_iac.desired.schemas import conforms, validator  # noqa: PLC0415  a plain plan needs neither

    if conforms("plan.schema.json", data):
        return ""
    error = next(validator("plan.schema.json").iter_errors(data), None)
    return f"{_broken(error)}; {_AGAIN}" if error else ""


def _broken(error: Any) -> str:
    """Return which rule is broken at which path; the value isn't shown, since it may be anything."""
    path, wants = dotted(error.absolute_path), error.validator_value
    match error.validator:
        case "required":
            missing = next(key for key in wants if key not in error.instance)
            return f"{dotted((*error.absolute_path, missing))} is missing"
        case "additionalProperties":
            more = next(key for key in error.instance if key not in error.schema["properties"])
            return f"{path} has a member {safe_text(more)!r}, which codat-iac doesn't write".lstrip()
        case "type":
            kinds = [wants] if isinstance(wants, str) else wants
            return f"{path} is not {' or '.join(_KINDS[kind] for kind in kinds)}"
        case "enum":
            return f"{path} is none of {', '.join('null' if word is None else str(word) for word in wants)}"
    return f"{path} breaks the schema's {error.validator} of {wants}"


def _edited(plan: Plan, data: Mapping[str, Any]) -> list[str]:
    """Return the paths of derived values that are wrong, such as a count. The summary's words may differ.

    Plain equality is enough here: the schema allows neither 1.0 nor true in the place of 1.
    """
    generated = parse_time(data["generatedAt"])
    written = document(plan, timestamp(generated) if generated else "")
    return [dotted(path) for path in differing_paths(written | {"summary": data["summary"]}, data)]


# Convert validated data into a plan.


def _plan(data: Mapping[str, Any]) -> Plan:
    return Plan(
        changes=tuple(map(_change, data["changes"])),
        waiting=tuple(Waiting(**_attributes(each)) for each in data["waiting"]),
        unmanaged=tuple(Unmanaged(**_attributes(each)) for each in data["unmanaged"]),
        problems=tuple(Problem(**_attributes(each)) for each in data["problems"]),
        notes=tuple(data["notes"]),
        declared=data["declared"],
        recorded=data["recorded"],
        calls=Calls(**_attributes(data["calls"])),
        refusal=data["refusal"],
        stateless=data["stateless"],
        stack=data["stack"],
        shard=data.get("shard"),
        coverage=None if data["coverage"] is None else _coverage(data["coverage"]),
        platforms={each["key"]: each["name"] for each in data["platforms"]},
        companies={each["id"]: each["name"] for each in data["companies"]},
    )


def _coverage(data: Mapping[str, Any]) -> Coverage:
    return Coverage(
        complete=data["complete"],
        companies_declared=data["companies"]["declared"],
        companies_undeclared=data["companies"]["undeclared"],
        connections=_tally(data["connections"]),
        platforms=tuple(map(_group, data["platforms"])),
        statuses=tuple(map(_group, data["statuses"])),
        tags=tuple(map(_group, data["tags"])),
        uncovered=tuple(map(_uncovered, data["uncovered"])),
    )


def _uncovered(data: Mapping[str, Any]) -> Uncovered:
    given = _attributes(data)
    return Uncovered(**given | {"kind": Kind(given["kind"]), "policy": OnUnmanaged(given["policy"])})


def _group(data: Mapping[str, Any]) -> Group:
    return Group(data["name"], _tally({name: value for name, value in data.items() if name != "name"}))


def _tally(data: Mapping[str, Any]) -> Tally:
    """Read a tally; its share is counted anew, and an edited one is found out."""
    return Tally(**{name: value for name, value in data.items() if name != "percent"})


def _change(data: Mapping[str, Any]) -> Decision:
    given = _attributes(data)
    given["action"] = Action(given.pop("step"))
    given["cause"] = _CAUSES[given["cause"]]
    given["fields"] = tuple(Field(**each) for each in given["fields"])
    given["removal"] = given["removal"] and Action(given["removal"])
    given["losing"] = tuple(given["losing"])
    del given["loses"]  # derived, and an edited one is found out
    return Decision(**given)


def _attributes(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a JSON object under their names here: `companyId` is `company_id`."""
    return {_attribute(name): Address(value) if name == "address" else value for name, value in data.items()}


@cache
def _attribute(name: str) -> str:
    return re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", name)
