"""Render reports in JSON, for machines and for saved plans: all data, one object of a list on each line.

Member names are camelCase. Characters other than ASCII are escaped, so none can control a terminal.
`schemas/plan.schema.json` is the contract of a plan, and `from_json.py` reads one back; a change of either
must raise `plan.FORMAT_VERSION`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from codat_iac.cli.render.words import Recorded, coverage_summary, timestamp
from codat_iac.model import errors
from codat_iac.model.text import redact
from codat_iac.planning.decision import Cause, Decision
from codat_iac.planning.plan import (
    FORMAT_VERSION,
    STEPS,
    Drifted,
    Link,
    Plan,
    Problem,
    Unmanaged,
    Waiting,
    summary,
)
from codat_iac.planning.plan.coverage import Coverage, Group, Tally

CAUSES: Mapping[Cause, str] = {Cause.YOU: "you", Cause.THEY: "they", Cause.BOTH: "both"}


def plan(shown: Plan, now: datetime) -> str:
    """Return a plan in JSON, from which `from_json.parse_plan` reads an equal plan."""
    return _written(document(shown, timestamp(now)))


def document(shown: Plan, generated: str) -> dict[str, Any]:
    """Return a plan as JSON data, with derived values such as its counts. *generated* is its time."""
    counts = shown.counts
    data = {
        "formatVersion": FORMAT_VERSION,
        "kind": "plan",
        "generatedAt": generated,
        "summary": summary(shown),
        "exitCode": shown.exit_code,
        "refusal": shown.refusal,
        "losses": shown.losses,
        "counts": {step.value: counts[step] for step in STEPS},
        "declared": shown.declared,
        "recorded": shown.recorded,
        "stateless": shown.stateless,
        "stack": shown.stack,
        **({"shard": shown.shard} if shown.shard else {}),
        "platforms": [{"key": key, "name": name} for key, name in shown.platforms.items()],
        "companies": [{"id": company_id, "name": name} for company_id, name in shown.companies.items()],
        "calls": {
            "reads": shown.calls.reads,
            "writes": shown.calls.writes,
            "quotaLeft": shown.calls.quota_left,
            "quotaResets": shown.calls.quota_resets,
        },
        "changes": [_change(each) for each in shown.changes],
        "waiting": [_waiting(each) for each in shown.waiting],
        "unmanaged": [_unmanaged(each) for each in shown.unmanaged],
        "problems": [{"address": each.address, "text": each.text} for each in shown.problems],
        "notes": list(shown.notes),
        "coverage": None if shown.coverage is None else _coverage(shown.coverage),
    }
    return {key: _without_links(value) for key, value in data.items()}


def _change(change: Decision) -> dict[str, Any]:
    return {
        "address": change.address,
        "step": change.action.value,
        "cause": CAUSES[change.cause],
        "companyId": change.company_id,
        "platformKey": change.platform_key,
        "status": change.status,
        "connectionId": change.connection_id,
        "movedFrom": change.moved_from,
        "removal": change.removal,
        "loses": change.loses,
        "losing": list(change.losing),
        "later": change.later,
        "fields": [{"name": each.name, "before": each.before, "after": each.after} for each in change.fields],
    }


def _waiting(waiting: Waiting) -> dict[str, Any]:
    return {
        "address": waiting.address,
        "companyId": waiting.company_id,
        "connectionId": waiting.connection_id,
        "platformKey": waiting.platform_key,
        "status": waiting.status,
        "since": waiting.since,
        "text": waiting.text,
    }


def _unmanaged(unmanaged: Unmanaged) -> dict[str, Any]:
    return {
        "company": unmanaged.company,
        "companyId": unmanaged.company_id,
        "connectionId": unmanaged.connection_id,
        "platformKey": unmanaged.platform_key,
        "status": unmanaged.status,
    }


def coverage(found: Coverage, wrong: Sequence[Problem], now: datetime) -> str:
    """Return a coverage in JSON, with the problems that the policy makes of it."""
    rows = [{"address": each.address, "text": each.text} for each in wrong]
    shown = {"summary": coverage_summary(found), **_coverage(found), "problems": rows}
    return _report("coverage", now, **_without_links(shown))


def _coverage(found: Coverage) -> dict[str, Any]:
    return {
        "complete": found.complete,
        "companies": {"declared": found.companies_declared, "undeclared": found.companies_undeclared},
        "connections": _tally(found.connections),
        "platforms": _groups(found.platforms),
        "statuses": _groups(found.statuses),
        "tags": _groups(found.tags),
        "uncovered": [
            {
                "kind": each.kind.value,
                "company": each.company,
                "companyId": each.company_id,
                "connectionId": each.connection_id,
                "platformKey": each.platform_key,
                "status": each.status,
                "policy": each.policy.value,
            }
            for each in found.uncovered
        ],
    }


def _groups(groups: Sequence[Group]) -> list[dict[str, Any]]:
    return [{"name": each.name, **_tally(each.connections)} for each in groups]


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "managed": tally.managed,
        "declared": tally.declared,
        "unmanaged": tally.unmanaged,
        "undeclared": tally.undeclared,
        "ignored": tally.ignored,
        "percent": tally.percent,
    }


def drift(
    drifted: Sequence[Drifted],
    now: datetime,
    progress: Sequence[Drifted] = (),
    failing: Sequence[Drifted] = (),
    of: Recorded | None = None,
) -> str:
    """Return the drift in JSON."""
    return _report(
        "drift",
        now,
        **_of(of),
        drifted=_drifted(drifted),
        progress=_drifted(progress),
        failing=_drifted(failing),
    )


def _of(of: Recorded | None) -> dict[str, Any]:
    return {"stack": of and redact(of.stack), "recorded": of.connections if of else 0}


def _drifted(drifted: Sequence[Drifted]) -> Any:
    rows = [
        {
            "address": each.address,
            "companyId": each.company_id,
            "connectionId": each.connection_id,
            "platformKey": each.platform_key,
            "was": each.was,
            "now": each.now,
        }
        for each in drifted
    ]
    return _without_links(rows)


def links(waiting: Sequence[Link], now: datetime, of: Recorded | None = None) -> str:
    """Return the links in JSON. No other JSON report contains link URLs."""
    rows = [
        {
            "address": each.address,
            "company": each.company,
            "platform": each.platform,
            "status": each.status,
            "since": each.since,
            "companyId": each.company_id,
            "connectionId": each.connection_id,
            "platformKey": each.platform_key,
        }
        for each in waiting
    ]
    urls = [{"url": each.url} for each in waiting]
    both = zip(_without_links(rows), urls, strict=True)
    return _report("links", now, **_of(of), links=[{**row, **url} for row, url in both])


def problems(
    found: Sequence[errors.FileProblem], checked: str, now: datetime, warnings: Sequence[str] = ()
) -> str:
    """Return the problems that a check found, in JSON; `line` and `column` are 0 if there is no place."""
    rows = [
        {"path": each.path, "line": each.line, "column": each.column, "message": each.message}
        for each in found
    ]
    return _report(
        "problems",
        now,
        checked=_without_links(checked),
        problems=_without_links(rows),
        warnings=_without_links(list(warnings)),
    )


def _report(kind: str, now: datetime, **rest: Any) -> str:
    return _written({"formatVersion": FORMAT_VERSION, "kind": kind, "generatedAt": timestamp(now), **rest})


def _without_links(value: Any) -> Any:
    """Remove links and passwords from all texts: a text of Codat's may hold one."""
    match value:
        case str():
            return redact(value)
        case dict():
            return {key: _without_links(item) for key, item in value.items()}
        case list():
            return [_without_links(item) for item in value]
        case _:
            return value


def _written(data: Mapping[str, Any]) -> str:
    """Return JSON with each member, and each item of a list, on its own line, for `diff` and `grep`."""
    members = (f"  {json.dumps(key)}: {_member(value)}" for key, value in data.items())
    return "{\n" + ",\n".join(members) + "\n}"


def _member(value: Any) -> str:
    if not (isinstance(value, list) and value):
        return json.dumps(value)
    return "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "\n  ]"
