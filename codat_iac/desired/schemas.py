"""The JSON Schemas that come with codat-iac, and two ways to check data against them.

They are files of their own, so that editors and scripts can read them too. `conforms` is quick, and only says
whether all is well. `validator` is jsonschema's: slow to import and to run, and it says what is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import ValidationError

Check = Callable[[Any], bool]


@cache
def schema(name: str) -> dict[str, Any]:
    """Return the schema in the file *name*."""
    found: dict[str, Any] = json.loads(packaged("schemas").joinpath(name).read_text("utf-8"))
    return found


def packaged(folder: str) -> Traversable:
    """Return a folder that comes with codat-iac, in a wheel's package or beside it in a checkout."""
    package = resources.files("codat_iac")
    found = package.joinpath(folder)
    return found if found.is_dir() else package.joinpath("..", folder)


@cache
def validator(name: str) -> Any:
    """Return a validator for the schema in the file *name*. The schema itself is checked by a test."""
    from jsonschema import Draft202012Validator, ValidationError, validators  # noqa: PLC0415  slow to import

    definitions = schema(name).get("$defs", {})

    def ref(validating: Any, target: str, instance: Any, _: Any) -> Iterator[ValidationError]:
        """Validate `$ref` in a schema that refers only to itself, which is quicker than resolving URIs."""
        yield from validating.descend(instance, definitions[target.rpartition("/")[2]])

    def pattern(_: Any, wanted: str, instance: Any, __: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not _pattern(wanted).search(instance):
            yield ValidationError("does not match")

    extend: Any = validators.extend
    integers = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    return extend(Draft202012Validator, {"$ref": ref, "pattern": pattern}, type_checker=integers)(
        schema(name)
    )


def _pattern(pattern: str) -> re.Pattern[str]:
    """Compile `pattern` as JSON Schema means it: Python's `$` would also match before a final newline."""
    return re.compile(pattern.replace("$", r"\Z"))


def conforms(name: str, data: Any) -> bool:
    """Return whether *data* certainly conforms to the schema in the file *name*.

    This takes a fraction of jsonschema's time. It denies what it doubts, such as a value of a subclass; then
    jsonschema decides.
    """
    return _compiled(name)(data)


@cache
def _compiled(name: str) -> Check:
    whole = schema(name)
    definitions: dict[str, Check] = {}
    for key, each in whole.get("$defs", {}).items():
        definitions[key] = _check(each, definitions)
    return _check(whole, definitions)


def _check(schema: Mapping[str, Any], definitions: Mapping[str, Check]) -> Check:
    """Compile *schema*. *definitions* are those of its `$ref`; they may be filled in later."""
    checks = [
        _KEYWORDS[keyword](wanted, definitions)
        for keyword, wanted in schema.items()
        if keyword not in _SILENT | _OF_OBJECTS
    ]
    if "if" in schema:
        checks.append(_either(schema, definitions))
    if not _OF_OBJECTS.isdisjoint(schema):
        checks.append(_object(schema, definitions))
    return _all(checks)


def _all(checks: Sequence[Check]) -> Check:
    return checks[0] if len(checks) == 1 else lambda value: all(check(value) for check in checks)


_SILENT = frozenset(
    (
        "$defs",
        "$schema",
        "default",
        "description",
        "else",
        "errorMessage",
        "examples",
        "if",
        "then",
        "title",
    )
)
"""The keywords that demand nothing, or nothing by themselves."""

_OF_OBJECTS = frozenset(
    (
        "additionalProperties",
        "dependentSchemas",
        "patternProperties",
        "properties",
        "propertyNames",
        "required",
    )
)


def _object(schema: Mapping[str, Any], definitions: Mapping[str, Check]) -> Check:
    def compiled(keyword: str) -> dict[str, Check]:
        return {key: _check(each, definitions) for key, each in schema.get(keyword, {}).items()}

    required, known = schema.get("required", ()), compiled("properties")
    patterns = [(_pattern(key), check) for key, check in compiled("patternProperties").items()]
    dependent = compiled("dependentSchemas").items()
    others = schema.get("additionalProperties", True)
    other = _check(others, definitions) if isinstance(others, dict) else lambda _: others
    name = _check(schema["propertyNames"], definitions) if "propertyNames" in schema else None

    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return True  # `type` says what it has to be
        if any(key not in value for key in required):
            return False
        for key, item in value.items():
            found = known.get(key)
            if found is None:
                found = next((each for pattern, each in patterns if pattern.search(key)), other)
            if not found(item) or (name and not name(key)):
                return False
        return all(each(value) for key, each in dependent if key in value)

    return check


def _either(schema: Mapping[str, Any], definitions: Mapping[str, Check]) -> Check:
    """Compile `if`, `then` and `else`. The condition must be one that `_check` answers exactly."""
    condition, then, otherwise = (_check(schema.get(key, {}), definitions) for key in ("if", "then", "else"))
    return lambda value: then(value) if condition(value) else otherwise(value)


def _definition(wanted: str, definitions: Mapping[str, Check]) -> Check:
    name = wanted.rpartition("/")[2]

    def check(value: Any) -> bool:  # a definition may stand before those that it refers to
        return definitions[name](value)

    return check


def _type(wanted: str | list[str], _: object) -> Check:
    kinds = tuple(each for kind in ([wanted] if isinstance(wanted, str) else wanted) for each in _TYPES[kind])
    if kinds == (dict,):
        return lambda value: isinstance(value, dict)
    return lambda value: type(value) in kinds


_TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


def _one_of(values: Collection[Any], _: object) -> Check:
    return lambda value: any(type(value) is type(each) and value == each for each in values)


def _matching(wanted: str, _: object) -> Check:
    search = _pattern(wanted).search
    return lambda value: isinstance(value, str) and search(value) is not None


def _items(wanted: Mapping[str, Any], definitions: Mapping[str, Check]) -> Check:
    check = _check(wanted, definitions)
    return lambda value: isinstance(value, list) and all(map(check, value))


_KEYWORDS: Mapping[str, Callable[[Any, Mapping[str, Check]], Check]] = {
    "$ref": _definition,
    "allOf": lambda wanted, definitions: _all([_check(each, definitions) for each in wanted]),
    "const": lambda wanted, definitions: _one_of([wanted], definitions),
    "enum": _one_of,
    "items": _items,
    "maxLength": lambda wanted, _: lambda value: isinstance(value, str) and len(value) <= wanted,
    "maxProperties": lambda wanted, _: lambda value: isinstance(value, dict) and len(value) <= wanted,
    "maximum": lambda wanted, _: lambda value: value is None or value <= wanted,
    "minProperties": lambda wanted, _: lambda value: isinstance(value, dict) and len(value) >= wanted,
    "minimum": lambda wanted, _: lambda value: value is None or value >= wanted,
    "not": lambda wanted, _: lambda value: bool(wanted) and value != wanted["const"],
    "pattern": _matching,
    "type": _type,
}
"""What compiles each keyword. A schema with one that isn't here fails, in the tests at the latest."""
