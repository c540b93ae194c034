"""The JSON Schemas that come with codat-iac, and their validators. Slow to import.

They are files of their own, so that editors and scripts can read them too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators


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
    definitions = schema(name).get("$defs", {})

    def ref(validating: Any, target: str, instance: Any, _: Any) -> Iterator[ValidationError]:
        """Validate `$ref` in a schema that refers only to itself, which is quicker than resolving URIs."""
        yield from validating.descend(instance, definitions[target.rpartition("/")[2]])

    extend: Any = validators.extend
    integers = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    return extend(Draft202012Validator, {"$ref": ref, "pattern": _pattern}, type_checker=integers)(
        schema(name)
    )


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    """Validate `pattern` as JSON Schema means it: Python's `$` would also match before a final newline."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError("does not match")
