"""Codat's query language, without HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codat_iac.emulator.api.query import compile_query, order_rows
from codat_iac.emulator.requests.messages import Refusal

ROW: dict[str, Any] = {
    "name": "Acme & Co",
    "status": "Linked",
    "enabled": True,
    "amount": 12.5,
    "created": "2022-10-27T10:22:43.6464237Z",
    "nothing": None,
    "customer": {"id": "61"},
    "connections": [{"status": "Linked"}, {"status": "PendingAuth"}],
}


def matches(query: str) -> bool:
    """Whether the row does."""
    return compile_query(query, ())(ROW)


def error(query: str, **options: Any) -> str:
    """The text of the 400."""
    with pytest.raises(Refusal) as raised:
        compile_query(query, options.pop("known", ()), **options)
    assert raised.value.reply.status == 400
    return str(json.loads(raised.value.reply.body)["error"])


@pytest.mark.parametrize(
    "query",
    [
        "status=Linked",
        "  status  =  linked  ",
        "status!=Unlinked",
        "name~acme",
        "name=Acme & Co",
        "enabled=true",
        "amount=12.5",
        "amount>12",
        "amount>=12.5",
        "amount<13",
        "amount<=12.5",
        "amount>-1",
        "created>2022-10-27",
        "created<2022-10-28T00:00:00Z",
        "customer.id=61",
        "connections.status=PendingAuth",
        "status=Linked && enabled=true",
        "status=Unlinked || enabled=true",
        "status=Linked || status=Linked && status=Unlinked",
        "{status=Unlinked || amount<50} && name~co",
        "{{status=Linked}}",
        "status=Linked&&{enabled=false||{amount>1&&amount<99}}",
    ],
)
def test_it_matches(query: str) -> None:
    """Clauses, groups, and `&&` before `||`."""
    assert matches(query)


@pytest.mark.parametrize(
    "query",
    [
        "status=Unlinked",
        "status!=Linked",
        "name~zzz",
        "amount~12",
        "amount>12.5",
        "amount>2022-01-01",
        "name>1",
        "created<2022-10-27",
        "nothing=x",
        "nothing!=x",
        "nothing.deeper=x",
        "customer=61",
        "customer.id.deeper=61",
        "status=Linked && enabled=false",
        "{status=Linked || enabled=true} && amount>99",
    ],
)
def test_it_does_not_match(query: str) -> None:
    """Null never matches, not even `!=`: Codat can't query on null."""
    assert not matches(query)


@pytest.mark.parametrize(
    "query",
    [
        "status",
        "=Linked",
        "status=",
        "status=  ",
        "status=Linked &&",
        "&& status=Linked",
        "status=Linked || ",
        "{status=Linked",
        "status=Linked}",
        "{}",
        "status=Linked {amount>1}}",
        "amount>many",
        "{status=a}{status=b}",
        "{" * 500 + "a=1" + "}" * 500,
    ],
)
def test_a_malformed_query_is_refused(query: str) -> None:
    """With Codat's words."""
    assert error(query) == "Error parsing query - Malformed query."


def test_a_query_must_be_shorter_than_2048() -> None:
    """One character more is an error."""
    assert compile_query("a=" + "b" * 2045, ())(ROW) is False
    assert error("a=" + "b" * 2046) == "Error parsing query - Query is too long."


def test_an_unknown_property_is_named() -> None:
    """As Codat does it."""
    assert (
        error("isCompleted=true", known={"status"})
        == "Error parsing query - Could not resolve property isCompleted on Dataset"
    )


def test_operators_can_be_limited() -> None:
    """Tags know no order."""
    assert compile_query("a=1 && b!=2 && c~3", (), ("=", "!=", "~"))({"a": "1", "b": "1", "c": "13"})
    assert error("a>1", operators=("=",)) == "Error parsing query - Malformed query."


def test_rows_are_ordered_up_and_down() -> None:
    """Those without a value come first, last when downwards."""
    rows: list[dict[str, Any]] = [{"n": "b"}, {"n": None}, {"n": "A"}]

    assert order_rows(rows, "n", {"n"}) == [{"n": None}, {"n": "A"}, {"n": "b"}]
    assert order_rows(rows, "-n", {"n"}) == [{"n": "b"}, {"n": "A"}, {"n": None}]
    with pytest.raises(Refusal):
        order_rows(rows, "modifiedDate", {"n"})


WORDS = st.text("abcXYZ019 .-'@", min_size=1).map(str.strip).filter(bool)


@given(WORDS, WORDS)
def test_equals_is_equality_without_case(value: str, wanted: str) -> None:
    """And `!=` is its opposite."""
    row = {"a": value}

    assert compile_query(f"a={wanted}", ())(row) == (value.lower() == wanted.lower())
    assert compile_query(f"a!={wanted}", ())(row) != compile_query(f"a={wanted}", ())(row)
    assert compile_query(f"a~{wanted}", ())(row) == (wanted.lower() in value.lower())


Tree = tuple[str, Any, Any] | int
TREES = st.recursive(
    st.integers(0, 3),
    lambda children: st.tuples(st.sampled_from(["&&", "||"]), children, children),
    max_leaves=12,
)


@given(TREES, st.lists(st.booleans(), min_size=4, max_size=4))
def test_any_expression_means_what_its_tree_means(tree: Tree, values: list[bool]) -> None:
    """However deep the braces go."""

    def write(part: Tree) -> str:
        if isinstance(part, int):
            return f"f{part}=true"
        return f"{{{write(part[1])}}} {part[0]} {{{write(part[2])}}}"

    def mean(part: Tree) -> bool:
        if isinstance(part, int):
            return values[part]
        left, right = mean(part[1]), mean(part[2])
        return (left and right) if part[0] == "&&" else (left or right)

    row = {f"f{index}": value for index, value in enumerate(values)}
    assert compile_query(write(tree), ())(row) == mean(tree)


@given(st.text("ab=<>!~&|{} .1", max_size=40))
def test_any_text_is_a_query_or_a_400(text: str) -> None:
    """Nothing else can come of it."""
    status = 200
    try:
        compile_query(text, ())(ROW)
    except Refusal as refused:
        status = refused.reply.status
    assert status in {200, 400}
