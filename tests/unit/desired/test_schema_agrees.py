"""The JSON Schema: the contract agrees with the model and is fit for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from codat_iac.desired import load_declaration
from codat_iac.model.connection import (
    ADDRESS_HALF,
    PLATFORM_KEY,
    UUID,
    Address,
    DesiredConnection,
    OnExisting,
    OnRemoval,
    Status,
)
from codat_iac.model.errors import ConfigError
from codat_iac.planning.plan.unmanaged import OnUnmanaged, UnmanagedPolicy
from tests.support import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA: dict[str, Any] = json.loads((ROOT / "schemas/connections.schema.json").read_text())
CONNECTION = SCHEMA["$defs"]["connection"]["properties"]

SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    [1, 1.0, 2, True, None, [], {}, "1", "gbol", "Gbol", "Linked", "PendingAuth", "retain", "create"]
) | st.uuids().map(str)


def mappings(
    required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[Any]:
    """Mostly good mappings, sometimes one with gaps and odd values, sometimes something else."""
    good = st.fixed_dictionaries(required, optional=optional)
    odd = {key: value | SCALARS for key, value in {**required, **optional, "x-odd": SCALARS}.items()}
    bad = st.fixed_dictionaries({}, optional=odd)
    return st.sampled_from([good, good, good, good, bad, SCALARS]).flatmap(lambda chosen: chosen)


CONNECTIONS = mappings(
    {"platformKey": st.just("gbol")},
    {
        "status": st.sampled_from(["Linked", "Unlinked"]),
        "onRemoval": st.sampled_from(["unlink", "delete", "retain"]),
        "onExisting": st.sampled_from(["refuse", "adopt", "create"]),
        "connectionId": st.uuids().map(str),
        "protect": st.booleans(),
    },
)
POLICIES = st.sampled_from(["report", "ignore", "error"]) | SCALARS
TAGS = st.sampled_from(["segment=demo", " a = b=c", "=b", "a=", "a= ", " =b", "a", "", "a=\n"])
NAMES = st.sampled_from(["acme", "a-1", "0.x_y", "Acme", "a b", "-", "a" * 100, "a" * 101])
COMPANIES = mappings(
    {"id": st.uuids().map(str), "connections": st.dictionaries(NAMES, CONNECTIONS, max_size=2)}, {}
) | mappings(
    {
        "match": st.sampled_from(
            [{"tag": "a=1"}, {"name": "A"}, {"tag": "a"}, {"tag": "a=1", "name": "A"}, {}]
        ),
        "connections": st.dictionaries(NAMES, CONNECTIONS, max_size=2),
    },
    {},
)
RULES = mappings(
    {
        "forEach": mappings(
            {"tag": st.sampled_from(["a=b", "a"])}, {"key": mappings({"tag": st.just("c")}, {})}
        ),
        "connections": st.dictionaries(NAMES, CONNECTIONS, max_size=1),
    },
    {},
)
FILES = mappings(
    {"version": st.just(1), "companies": st.dictionaries(NAMES, COMPANIES, max_size=2)},
    {
        "defaults": mappings({}, {"onRemoval": st.just("delete"), "protect": st.booleans()}),
        "unmanaged": POLICIES,
        "unmanagedByTag": st.dictionaries(TAGS, POLICIES, max_size=2) | SCALARS,
        "rules": st.dictionaries(NAMES, RULES, max_size=1),
        "x-y": SCALARS,
    },
)


def subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every schema in the schema that says what a value must be."""
    yield schema
    for keyword in ("propertyNames", "additionalProperties"):
        if isinstance(child := schema.get(keyword), dict) and not {"$ref", "allOf"} & child.keys():
            yield from subschemas(child)
    for keyword in ("properties", "patternProperties", "$defs"):
        for child in schema.get(keyword, {}).values():
            yield from subschemas(child)


def test_the_schema_is_a_schema_and_its_examples_obey_it() -> None:
    """Draft 2020-12, with examples that could be pasted."""
    Draft202012Validator.check_schema(SCHEMA)
    for schema in subschemas(SCHEMA):
        validator = Draft202012Validator({**schema, "$defs": SCHEMA["$defs"]})
        for example in (*schema.get("examples", ()), *filter(None, [schema.get("default")])):
            validator.validate(example)


def test_the_schema_says_what_the_model_says() -> None:
    """One rule written twice, because an editor can't read Python."""
    identities = (SCHEMA["$defs"]["company"]["properties"]["id"], CONNECTION["connectionId"])

    assert SCHEMA["$defs"]["name"]["pattern"] == f"^{ADDRESS_HALF.pattern}$"
    assert CONNECTION["platformKey"]["pattern"] == f"^{PLATFORM_KEY.pattern}$"
    assert {one["pattern"] for one in identities} == {f"^{UUID.pattern}$"}
    assert CONNECTION["status"]["enum"] == [Status.LINKED, Status.UNLINKED]
    assert SCHEMA["$defs"]["onRemoval"]["enum"] == list(OnRemoval)
    assert SCHEMA["$defs"]["onExisting"]["enum"] == list(OnExisting)
    assert SCHEMA["properties"]["unmanaged"]["enum"] == ["report", "ignore", "error"]
    assert sorted(SCHEMA["properties"]["unmanaged"]["enum"]) == sorted(OnUnmanaged)
    assert SCHEMA["properties"]["unmanaged"]["default"] == UnmanagedPolicy().tenant
    by_tag = SCHEMA["properties"]["unmanagedByTag"]["additionalProperties"]
    assert by_tag["enum"] == SCHEMA["properties"]["unmanaged"]["enum"]
    assert SCHEMA["$defs"]["protect"]["default"] is DesiredConnection(Address("a/b"), "c", "gbol").protect


def test_everything_in_the_schema_explains_itself() -> None:
    """Editors show the title and the description, and the errorMessage where something is wrong."""
    for schema in subschemas(SCHEMA):
        if "$ref" in schema:
            continue
        assert schema["title"]
        assert schema["description"]
        if {"type", "const", "enum", "pattern"} & schema.keys():
            assert schema["errorMessage"]
        assert schema.get("type", "object") in {"object", "string", "boolean"}


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples/yaml").glob("[a-z]*.yaml")), ids=lambda one: one.name
)
def test_every_yaml_example_names_the_schema_and_obeys_it(example: Path) -> None:
    """A stock validator agrees with the loader, and the editor finds the schema from the first line."""
    text = example.read_text()

    assert text.startswith("# yaml-language-server: $schema=../../schemas/connections.schema.json\n")
    Draft202012Validator(SCHEMA).validate(yaml.safe_load(text))


@settings(max_examples=300, deadline=None)
@given(data=FILES)
def test_a_stock_validator_and_the_loader_agree(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """What an editor accepts, the loader accepts, and the other way round."""
    path = tmp_path_factory.getbasetemp() / "agree.py"
    path.write_text(f"def desired(): return {data!r}\n")
    try:
        load_declaration(path)
        loads = True
    except ConfigError as error:
        loads = all("too (" in problem.message for problem in error.problems)

    assert Draft202012Validator(SCHEMA).is_valid(data) == loads
