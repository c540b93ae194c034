"""What an exported state says of connections, and what the engine tells a program of its own stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from codat_iac.model import record
from codat_iac.model.connection import RESOURCE_TYPE, OnExisting, OnRemoval, PriorConnection, Status
from codat_iac.model.errors import ConfigError
from tests.support.builders import COMPANY, a_desired, a_prior, an_id

KEY = "4dabf18193072939515e22adb298388d"
"""The key by which a state marks a secret, and a resource reference: Pulumi's, so it is written out here."""

MARK = "1b47061264138c4ac30d75fd1eb44270"
REFERENCE = "5cf8f73096256a8f31e491e813e4eb8e"

STACK = {"urn": "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev", "type": "pulumi:pulumi:Stack"}
PROVIDER = {
    "urn": "urn:pulumi:dev::shop::pulumi:providers:pulumi-python::default",
    "type": "pulumi:providers:pulumi-python",
    "id": "7ab7a1a5-6c9d-4ec2-a9c3-5fbb66f0f0a1",
}


def urn(address: str, *parents: str) -> str:
    """The URN of a connection under components of some types."""
    return f"urn:pulumi:dev::shop::{'$'.join([*parents, RESOURCE_TYPE])}::{address}"


def outputs(number: int = 1, address: str = "acme/a", **more: Any) -> dict[str, Any]:
    """What a state holds of one connection."""
    return {
        "__provider": "gASV...",
        "address": address,
        "companyId": COMPANY,
        "platformKey": "gbol",
        "status": "PendingAuth",
        "desiredStatus": "Linked",
        "onRemoval": "unlink",
        "onExisting": "refuse",
        "connectionId": an_id(number),
        "platformName": "Xero",
        "sourceType": "Accounting",
        "created": "2026-11-24T00:00:00Z",
        **more,
    }


def a_resource(number: int = 1, address: str = "acme/a", *parents: str, **more: Any) -> dict[str, Any]:
    """One connection of an exported state."""
    return {
        "urn": urn(address, *parents),
        "type": RESOURCE_TYPE,
        "id": an_id(number),
        "custom": True,
        "outputs": outputs(number, address),
        **more,
    }


def a_state(*resources: Mapping[str, Any]) -> dict[str, Any]:
    """What `pulumi stack export` prints."""
    return {"version": 3, "deployment": {"manifest": {}, "resources": [STACK, PROVIDER, *resources]}}


def secret(**kept: Any) -> dict[str, Any]:
    """A value that is marked as a secret."""
    return {KEY: MARK, **kept}


# An exported state.


@pytest.mark.parametrize(
    "state",
    [{}, {"deployment": None}, {"deployment": {}}, {"deployment": {"resources": None}}, a_state()],
    ids=["nothing", "no deployment", "an empty one", "no resources", "a stack alone"],
)
def test_a_stack_without_connections(state: dict[str, Any]) -> None:
    """A new stack is exported without a list, or without a deployment."""
    assert record.connections(state) == []
    assert record.recorded(state) == []
    assert record.has_secrets(state) is False
    assert list(record.options(state)) == []


def test_all_resources_of_a_stack() -> None:
    """Of whatever make."""
    assert record.resources(a_state(a_resource())) == [STACK, PROVIDER, a_resource()]
    assert record.resources({}) == []


def test_a_connection_is_known_by_its_type() -> None:
    """Under whatever parents, and only once it has an id."""
    under = a_resource(2, "acme/b", "shop:index:Customer")
    pending = {**a_resource(3, "acme/c"), "id": ""}
    nameless = {key: value for key, value in a_resource(4, "acme/d").items() if key != "id"}
    other = {**a_resource(5, "acme/e"), "type": "pulumi-python:dynamic:Resource"}
    state = a_state(a_resource(), under, pending, nameless, other)
    assert record.connections(state) == [a_resource(), under]


def test_what_is_recorded() -> None:
    """The id, the desired of then, the status of then, and the URN."""
    shown = {"status": "Unlinked", "desiredStatus": "Unlinked", "onRemoval": "delete", "onExisting": "create"}
    resource = a_resource(2, "acme/b", "shop:index:Customer")
    resource["outputs"] |= {**shown, "unlinkRefused": True, "protect": True}
    desired = a_desired(
        "acme/b",
        status=Status.UNLINKED,
        on_removal=OnRemoval.DELETE,
        on_existing=OnExisting.CREATE,
        protect=True,
    )
    assert record.recorded(a_state(a_resource(), resource)) == [
        a_prior(1, a_desired("acme/a"), "PendingAuth", urn=urn("acme/a")),
        a_prior(2, desired, "Unlinked", unlink_refused=True, urn=urn("acme/b", "shop:index:Customer")),
    ]


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ({"protect": True}, {"protected": True}),
        ({"taint": True}, {"tainted": True}),
        ({"retainOnDelete": True}, {"retained": True}),
        ({"delete": True}, {"pending_removal": True}),
        ({"protect": False, "taint": False, "delete": False}, {}),
        ({"protect": True, "taint": True}, {"protected": True, "tainted": True}),
    ],
)
def test_the_engine_s_own_marks(mark: dict[str, Any], expected: dict[str, Any]) -> None:
    """What the engine will do with it: keep it, replace it, or remove the old half."""
    assert record.recorded(a_state(a_resource(**mark))) == [
        a_prior(1, a_desired("acme/a"), "PendingAuth", urn=urn("acme/a"), **expected)
    ]


def test_a_name_of_the_state_is_not_the_recorded_address() -> None:
    """`pulumi state rename` changes the URN alone."""
    renamed = {**a_resource(), "urn": urn("acme/books")}
    (prior,) = record.recorded(a_state(renamed))
    assert (prior.address, prior.desired.address) == ("acme/books", "acme/a")


def test_an_id_is_the_resource_s_own() -> None:
    """Whatever case it is in, and whatever its outputs say."""
    resource = a_resource(id="ABCDEF00-0000-0000-0000-000000000000")
    (prior,) = record.recorded(a_state(resource))
    assert prior.id == "abcdef00-0000-0000-0000-000000000000"


# Secrets.


def test_a_secret_that_is_exported_as_text_is_read() -> None:
    """It is JSON in the text."""
    bag = outputs(companyId=secret(plaintext=json.dumps(COMPANY)))
    state = a_state(a_resource(outputs=bag))
    assert record.recorded(state) == record.recorded(a_state(a_resource()))
    assert record.has_secrets(state) is True


def test_a_secret_that_is_not_is_an_error() -> None:
    """With the way out, and without its ciphertext."""
    state = a_state(a_resource(outputs=outputs(companyId=secret(ciphertext="v1:abc"))))
    with pytest.raises(ConfigError) as caught:
        record.recorded(state)
    assert str(caught.value) == "the state holds a secret that it doesn't show; export it with --show-secrets"
    assert record.has_secrets(state) is True


def test_secrets_of_others_are_none_of_ours() -> None:
    """The stack's own outputs may be secret."""
    stack = {**STACK, "outputs": {"key": secret(ciphertext="v1:abc")}}
    assert record.has_secrets({"deployment": {"resources": [stack, a_resource()]}}) is False


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (None, None),
        (True, True),
        (["a"], ["a"]),
        ({}, {}),
        ({"plaintext": '"no mark"'}, {"plaintext": '"no mark"'}),
        ({KEY: REFERENCE, "value": "v"}, {KEY: REFERENCE, "value": "v"}),
        (secret(plaintext='"text"'), "text"),
        (secret(plaintext='{"a": [1]}'), {"a": [1]}),
        (secret(plaintext="null"), None),
        (secret(value="text"), "text"),
        (secret(value=None), None),
        (secret(plaintext='"of an export"', value="of a program"), "of an export"),
    ],
)
def test_a_value_without_the_mark_of_a_secret(value: Any, expected: Any) -> None:
    """An export has it as text, a program is told the value; other marks are no secrets."""
    assert record.plain(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (secret(), True),
        (secret(ciphertext="v1:abc"), True),
        ({KEY: REFERENCE}, False),
        ({}, False),
        (MARK, False),
        ([KEY, MARK], False),
        (None, False),
    ],
)
def test_what_is_marked_as_a_secret(value: Any, expected: bool) -> None:
    """A mapping with Pulumi's mark, and nothing else."""
    assert record.is_secret(value) is expected


# Options that only a program of one's own can declare.


def test_options_that_a_stock_program_cannot_declare() -> None:
    """Each with the URN that has it; what is empty or false is none."""
    state = a_state(
        a_resource(1, "acme/a", retainOnDelete=True, ignoreChanges=["status"]),
        a_resource(2, "acme/b", retainOnDelete=False, ignoreChanges=[]),
        a_resource(3, "acme/c", "shop:index:Customer", ignoreChanges=["onRemoval"]),
        {**a_resource(4, "acme/d", retainOnDelete=True), "type": "pulumi-python:dynamic:Resource"},
    )
    assert list(record.options(state)) == [
        (urn("acme/a"), "retain_on_delete"),
        (urn("acme/a"), "ignore_changes"),
        (urn("acme/c", "shop:index:Customer"), "ignore_changes"),
    ]


# What else hangs on a connection.


def test_what_depends_on_connections_that_are_asked_for() -> None:
    """By a dependency or as its child, each with the one that it needs; not those among themselves."""
    a, b, c = (a_resource(number, f"acme/{key}") for number, key in ((1, "a"), (2, "b"), (3, "c")))
    b["dependencies"] = [a["urn"]]
    c |= {"dependencies": None, "parent": STACK["urn"]}
    both = {"urn": "both", "type": "t", "dependencies": [c["urn"], b["urn"], a["urn"]], "parent": a["urn"]}
    child = {"urn": "child", "type": "t", "parent": b["urn"]}
    state = a_state(a, b, c, both, child)
    assert list(record.dependents(state, {a["urn"], b["urn"]})) == [
        ("both", b["urn"]),
        ("both", a["urn"]),
        ("both", a["urn"]),
        ("child", b["urn"]),
    ]
    assert next(record.dependents(state, {a["urn"]})) == (b["urn"], a["urn"])
    assert list(record.dependents(state, {c["urn"]})) == [("both", c["urn"])]
    assert list(record.dependents(state, set())) == []


# What the engine tells a program.


def told(**resources: Mapping[str, Any]) -> list[PriorConnection]:
    """What is read of resources that are told by their addresses."""
    return record.from_outputs(
        {urn(name.replace("_", "/")): resource for name, resource in resources.items()}
    )


def test_what_a_program_is_told() -> None:
    """The same as in an export, but for the engine's marks."""
    kept = {"type": RESOURCE_TYPE, "outputs": outputs(1, "acme/a", status="Linked")}
    assert told(acme_a=kept) == [a_prior(1, a_desired("acme/a"), "Linked", urn=urn("acme/a"))]
    assert record.from_outputs({}) == []


def test_an_older_version_recorded_no_id() -> None:
    """Then it is empty: nobody knows which one it is, but what was declared."""
    bag = outputs(1, "acme/a")
    del bag["connectionId"]
    (prior,) = told(acme_a={"type": RESOURCE_TYPE, "outputs": bag})
    assert prior == a_prior("", a_desired("acme/a"), "PendingAuth", urn=urn("acme/a"))


def test_what_is_no_connection_is_passed_over() -> None:
    """Of another type, or ours and never made: the engine tells of that without outputs."""
    kept = {"type": RESOURCE_TYPE, "outputs": outputs(1, "acme/a")}
    found = told(
        acme_a=kept,
        acme_b={"type": "pulumi:pulumi:Stack", "outputs": outputs(2, "acme/b")},
        acme_c={"type": RESOURCE_TYPE, "outputs": {}},
        acme_d={"type": RESOURCE_TYPE, "outputs": {"companyId": COMPANY}},
    )
    assert [prior.address for prior in found] == ["acme/a"]


def test_a_secret_that_a_program_is_told() -> None:
    """As a value, which the engine doesn't hide from it."""
    bag = outputs(1, "acme/a", companyId=secret(value=COMPANY))
    (prior,) = told(acme_a={"type": RESOURCE_TYPE, "outputs": bag})
    assert prior.desired.company_id == COMPANY


@pytest.mark.parametrize(
    ("stack", "marker"),
    [
        pytest.param({**STACK, "outputs": {"codat:shard": "2/5", "waiting": []}}, "2/5", id="a shard"),
        pytest.param({**STACK, "outputs": {"waiting": []}}, "", id="no shard"),
        pytest.param(STACK, "", id="no outputs"),
        pytest.param(PROVIDER, "", id="no stack yet"),
    ],
)
def test_a_state_says_what_its_stack_was_set_up_as(stack: Mapping[str, Any], marker: str) -> None:
    """In an exported state and in what the engine tells a program."""
    assert record.shard_marker({"deployment": {"resources": [PROVIDER, stack]}}) == marker
    assert record.marker_from_outputs({"urn:of:it": stack}) == marker


def test_a_stack_that_was_never_used_was_set_up_as_nothing() -> None:
    """Its export has no resources."""
    assert record.shard_marker({"version": 3, "deployment": {"manifest": {}}}) == ""
