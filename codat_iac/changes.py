"""Put what was decided about one address into a change: what is done, who did it, what differs. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from codat_iac import props, rules
from codat_iac.model import DesiredConnection, LiveConnection, PriorConnection, Status
from codat_iac.plan import WAITS, Cause, Change, Field, Step, Waiting, cause
from codat_iac.rules import ABSENT, Action, Verdict

_SHOWN = ("companyId", "connectionId", "onRemoval", "platformKey", "status")
"""The inputs whose differences are told; a change of the rest is none."""


def made(desired: DesiredConnection) -> Change:
    """Tell of a connection that is made."""
    company_id, platform_key = desired.slot
    return Change(desired.address, Step.CREATE, Cause.YOU, company_id, platform_key, ABSENT)


def taken(desired: DesiredConnection, live: LiveConnection, origin: PriorConnection | None) -> Change:
    """Tell of a connection that is there and is taken over; *origin*: it is recorded, at another address."""
    before, after = _inputs(origin.desired if origin else desired), _inputs(desired)
    action = rules.declared(desired.status, live).action
    if action is Action.UNLINK:
        before["status"] = live.status
    return Change(
        desired.address,
        Step.MOVE if origin else Step.ADOPT,
        cause(you=True, they=origin is not None and _moved(origin, live)),
        desired.company_id,
        desired.platform_key,
        live.status,
        connection_id=live.id,
        moved_from=origin.address if origin else None,
        fields=_fields(before, after),
        loses=rules.loses(action, live),
    )


def altered(
    prior: PriorConnection, desired: DesiredConnection, live: LiveConnection | None, verdict: Verdict
) -> Change:
    """Tell of a recorded connection that is declared otherwise, or that somebody moved."""
    replaced = verdict.action is Action.REPLACE
    going = rules.removed(prior.desired.on_removal, live).action if replaced else verdict.action
    differs = rules.record(prior.desired) != rules.record(desired)
    return Change(
        desired.address,
        Step(verdict.action),
        cause(you=differs or bool(rules.replaced_by(prior, desired)), they=_moved(prior, live)),
        desired.company_id,
        desired.platform_key,
        _status(live),
        connection_id=prior.id,
        removal=str(going) if replaced else None,
        fields=_differences(prior, desired, live, verdict),
        loses=rules.loses(going, live),
    )


def removed(prior: PriorConnection, live: LiveConnection | None) -> Change:
    """Tell of a connection that is declared no longer."""
    going = rules.removed(prior.desired.on_removal, live).action
    return Change(
        prior.address,
        Step.REMOVE,
        cause(you=True, they=_moved(prior, live)),
        prior.desired.company_id,
        prior.desired.platform_key,
        _status(live),
        connection_id=prior.id,
        removal=str(going),
        loses=rules.loses(going, live),
    )


def kept_by_another(change: Change) -> Change:
    """Tell of a change whose old connection another address has: it is only forgotten here."""
    return dataclasses.replace(change, removal=str(Action.FORGET), loses=False)


def merged(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Give one change for each address, sorted; what is removed there besides goes along with it.

    The engine knows both by one name, so neither is done without the other.
    """
    whole: dict[str, Change] = {}
    for change in changes:
        first = whole.setdefault(change.address, change)
        if first is not change:
            removal = change.removal if first.removal in {None, Action.FORGET} else first.removal
            loses = first.loses or change.loses
            whole[change.address] = dataclasses.replace(first, removal=removal, loses=loses)
    return tuple(whole[address] for address in sorted(whole))


def waiting(desired: DesiredConnection, live: LiveConnection | None) -> Iterable[Waiting]:
    """Tell of a connection that only its customer can bring to the desired status."""
    notice = rules.declared(desired.status, live).notice if live else None
    if live and notice in WAITS:
        text = rules.say(notice, desired.address, live)
        yield Waiting(
            desired.address, desired.company_id, live.id, desired.platform_key, live.status, since(live), text
        )


def since(live: LiveConnection) -> str:
    """Say when a connection began to wait: when it was made, or when it broke. Empty where nobody knows."""
    if live.status == Status.PENDING_AUTH:
        return live.created
    broke = [error.errored_on_utc for error in live.data_connection_errors if error.status != "Resolved"]
    return next((when for when in reversed(broke) if when), "")


def _status(live: LiveConnection | None) -> str:
    return live.status if live else ABSENT


def _moved(prior: PriorConnection, live: LiveConnection | None) -> bool:
    """Say whether somebody moved it since it was recorded, or before, where a refresh has recorded that."""
    asks = rules.declared_again(prior, prior.desired.status, live).action is not Action.NONE
    return asks or rules.is_drift(prior.status, _status(live))


def _differences(
    prior: PriorConnection, desired: DesiredConnection, live: LiveConnection | None, verdict: Verdict
) -> tuple[Field, ...]:
    """Name the recorded inputs that are declared otherwise, and the live status where that is why."""
    before, after = _inputs(prior.desired), _inputs(desired)
    if verdict.action is not Action.UPDATE:
        before["status"] = _status(live)
    if verdict.action is Action.REPLACE and live:
        del before["status"], after["status"]  # those of two connections
    if "connectionId" in verdict.replaces:
        before["connectionId"] = prior.id
    return _fields(before, after)


def _inputs(desired: DesiredConnection) -> dict[str, str]:
    return {name: value for name, value in props.inputs(desired).items() if name in _SHOWN}


def _fields(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Field, ...]:
    if before == after:
        return ()

    from deepdiff import DeepDiff  # noqa: PLC0415  slow to import, and few plans have changes

    diff = DeepDiff(before, after, view="tree")
    found = [
        Field(item.path(output_format="list")[0], _text(item.t1), _text(item.t2))
        for kind in ("values_changed", "dictionary_item_added", "dictionary_item_removed")
        for item in diff.get(kind, ())
    ]
    return tuple(sorted(found, key=lambda each: each.name))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
