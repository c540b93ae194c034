"""A saved plan, read back: the exact inverse of `as_json.plan`.

What is applied must be what was shown, so nothing is guessed here: a plan that this version would not
have written, down to the counts, is refused, since it was edited or is another tool's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from codat_iac.cli.render.as_json import CAUSES, document
from codat_iac.cli.render.words import moment, stamp
from codat_iac.model.errors import ConfigError
from codat_iac.model.text import safe_text
from codat_iac.planning.decision import Decision, Field
from codat_iac.planning.plan import FORMAT_VERSION, STEPS, Calls, Plan, Problem, Unmanaged, Waiting
from codat_iac.planning.rule_table import Action

_AGAIN = "make it again with `codat-iac plan --output json --out FILE`"
_CAUSES = {word: cause for cause, word in CAUSES.items()}
_REMOVALS = {each.value: each for each in (Action.UNLINK, Action.DELETE, Action.FORGET)}
_STEPS = {step.value: step for step in STEPS}

T = TypeVar("T")


def parse_plan(text: str, name: str = "the saved plan") -> Plan:
    """Read a plan that was written as JSON. Raises `ConfigError` with one line, *name* at its head."""
    data = _Object(_json(text, name), name, "")
    _check_format(data)
    plan = Plan(
        changes=data.each("changes", _change),
        waiting=data.each("waiting", _waiting),
        unmanaged=data.each("unmanaged", _unmanaged),
        problems=data.each("problems", lambda each: Problem(each.text("address"), each.text("text"))),
        notes=data.texts("notes"),
        declared=data.number("declared"),
        recorded=data.number("recorded"),
        calls=_calls(data.inner("calls")),
        refusal=data.optional("refusal"),
        stateless=data.flag("stateless"),
        stack=data.optional("stack"),
    )
    _check_rest(data, document(plan, data.text("generatedAt")))
    return plan


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError(f"{name}: is not JSON, so it is no saved plan; {_AGAIN}") from None


def _check_format(data: _Object) -> None:
    version = data.values.get("formatVersion")
    if type(version) is not int or data.values.get("kind") != "plan":
        data.fail("is no plan of codat-iac's")
    if version > FORMAT_VERSION:
        raise ConfigError(
            f"{data.name}: was written by a newer codat-iac (formatVersion {version}, and this one reads"
            f" {FORMAT_VERSION}); upgrade codat-iac, or {_AGAIN}"
        )
    if version < FORMAT_VERSION:
        data.fail(f"formatVersion {version} is none that codat-iac reads")


def _check_rest(data: _Object, written: Mapping[str, Any]) -> None:
    """Refuse what isn't in a plan, or doesn't follow from it. How it is put in words may change."""
    data.text("summary")
    for key in (*written, *data.values):
        same = _canonical(written.get(key)) == _canonical(data.values.get(key))
        if key not in written or not (same or key == "summary"):
            data.fail(f"{safe_text(key)!r} is not what codat-iac wrote there, so it was edited")
    generated = moment(data.text("generatedAt"))
    if generated is None or stamp(generated) != data.text("generatedAt"):
        data.fail("generatedAt is no time such as 2026-11-24T11:05:00Z")


def _canonical(value: Any) -> str:
    """Write a value such that equal means the same: in Python `True` and `1.0` equal 1."""
    return json.dumps(value, sort_keys=True)


@dataclass(frozen=True, slots=True)
class _Object:
    """One JSON object, read by the kinds of its members; `path` says where it stands."""

    values: Any
    name: str
    path: str

    def __post_init__(self) -> None:
        if not isinstance(self.values, dict):
            self.fail(f"{self.path.rstrip('.') or 'it'} is not an object")

    def fail(self, what: str) -> NoReturn:
        raise ConfigError(f"{self.name}: {what}; {_AGAIN}")

    def _get(self, key: str, kind: str, fits: Callable[[Any], bool]) -> Any:
        value = self.values.get(key, ...)
        if value is ...:
            self.fail(f"{self.path}{key} is missing")
        if not fits(value):
            self.fail(f"{self.path}{key} is not {kind}")
        return value

    def text(self, key: str) -> str:
        value: str = self._get(key, "a text", lambda found: isinstance(found, str))
        return value

    def optional(self, key: str) -> str | None:
        value: str | None = self._get(key, "a text or null", lambda found: isinstance(found, str | None))
        return value

    def flag(self, key: str) -> bool:
        value: bool = self._get(key, "true or false", lambda found: isinstance(found, bool))
        return value

    def number(self, key: str) -> int:
        value: int = self._get(key, "a number", _is_count)
        return value

    def optional_number(self, key: str) -> int | None:
        value: int | None = self._get(
            key, "a number or null", lambda found: found is None or _is_count(found)
        )
        return value

    def word(self, key: str, words: Mapping[str, T]) -> T:
        found = self.text(key)
        if found not in words:
            self.fail(f"{self.path}{key} is none of {', '.join(words)}")
        return words[found]

    def optional_word(self, key: str, words: Mapping[str, T]) -> T | None:
        return None if self.optional(key) is None else self.word(key, words)

    def texts(self, key: str) -> tuple[str, ...]:
        found = self._get(
            key, "a list of texts", lambda found: _is_list(found) and all(isinstance(x, str) for x in found)
        )
        return tuple(found)

    def inner(self, key: str) -> _Object:
        return _Object(self._get(key, "an object", lambda _: True), self.name, f"{self.path}{key}.")

    def each(self, key: str, read: Callable[[_Object], T]) -> tuple[T, ...]:
        items = self._get(key, "a list", _is_list)
        return tuple(
            read(_Object(item, self.name, f"{self.path}{key}[{index}].")) for index, item in enumerate(items)
        )


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _change(data: _Object) -> Decision:
    return Decision(
        address=data.text("address"),
        action=data.word("step", _STEPS),
        cause=data.word("cause", _CAUSES),
        company_id=data.text("companyId"),
        platform_key=data.text("platformKey"),
        status=data.text("status"),
        connection_id=data.optional("connectionId"),
        moved_from=data.optional("movedFrom"),
        removal=data.optional_word("removal", _REMOVALS),
        fields=data.each("fields", _field),
        loses=data.flag("loses"),
        old_half=data.optional("oldHalf"),
        later=data.flag("later"),
    )


def _field(data: _Object) -> Field:
    return Field(data.text("name"), data.optional("before"), data.optional("after"))


def _waiting(data: _Object) -> Waiting:
    return Waiting(
        address=data.text("address"),
        company_id=data.text("companyId"),
        connection_id=data.text("connectionId"),
        platform_key=data.text("platformKey"),
        status=data.text("status"),
        since=data.text("since"),
        text=data.text("text"),
    )


def _unmanaged(data: _Object) -> Unmanaged:
    return Unmanaged(
        company_id=data.text("companyId"),
        connection_id=data.text("connectionId"),
        platform_key=data.text("platformKey"),
        status=data.text("status"),
        company=data.text("company"),
    )


def _calls(data: _Object) -> Calls:
    return Calls(
        reads=data.number("reads"),
        writes=data.number("writes"),
        quota_left=data.optional_number("quotaLeft"),
        quota_resets=data.optional("quotaResets"),
    )
