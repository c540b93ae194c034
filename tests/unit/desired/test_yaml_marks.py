"""The desired state in YAML: what may be written, and what only YAML can get wrong."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from codat_iac.desired import load
from codat_iac.model.connection import OnRemoval
from codat_iac.model.errors import ConfigError

ID = "8a210b68-6988-11ed-a1eb-0242ac120002"

NAMES = ("no", "007", "null", "2024-01-01", "1e3")


def problems(text: str | bytes) -> list[str]:
    """What is wrong with a file c.yaml, without the file's name."""
    Path("c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load("c.yaml")
    return [line.removeprefix("c.yaml").removeprefix(", ") for line in str(caught.value).split("\n")]


def ledger(connection: str) -> str:
    """A file whose acme/ledger is *connection*: line 6, from column 15."""
    return f"version: 1\ncompanies:\n  acme:\n    id: {ID}\n    connections:\n      ledger: {connection}\n"


def test_names_are_text_as_written() -> None:
    """YAML would make false, 7, nothing and a date of these keys."""
    Path("c.yaml").write_text(
        ledger("{platformKey: gbol}") + "".join(f"      {name}: {{platformKey: gbol}}\n" for name in NAMES)
    )

    assert {one.address for one in load("c.yaml")} == {f"acme/{name}" for name in (*NAMES, "ledger")}


def test_anchors_aliases_and_merge_keys_work_as_in_yaml() -> None:
    """A key of its own beats a merged one, and of merged ones the first wins; `x-` keys are free."""
    Path("c.yaml").write_text(
        inspect.cleandoc(f"""
            version: !!int 1
            x-anchors:
              - &keep {{onRemoval: retain, status: Unlinked}}
              - &drop {{onRemoval: delete}}
              - &key !!str gbol
              - &word platformKey
              - [{{a: 1.5}}, ! plain, ~, 2024-01-01, "<<"]
            companies:
              acme:
                id: {ID}
                connections:
                  a: &a {{*word : *key, <<: *keep}}
                  b: {{<<: *a, onRemoval: delete}}
                  c: {{&p platformKey: gbol, <<: [*drop, *keep]}}
                  d: {{*p : gbol, <<: []}}
        """)
    )

    assert [(one.on_removal, one.status) for one in load("c.yaml")] == [
        (OnRemoval.RETAIN, "Unlinked"),
        (OnRemoval.DELETE, "Unlinked"),
        (OnRemoval.DELETE, "Unlinked"),
        (OnRemoval.UNLINK, "Linked"),
    ]


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    """Notepad writes both."""
    Path("c.yaml").write_bytes(b"\xef\xbb\xbf" + ledger("{platformKey: gbol}").replace("\n", "\r\n").encode())

    assert len(load("c.yaml")) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "a:\n\tb: 1",
            "line 2, column 1: not YAML: found character that cannot start any token while scanning for the"
            " next token of line 2; indent with spaces, not with tabs",
            id="tab",
        ),
        pytest.param(
            "a: 1\n\tb: 2",
            "line 2, column 1: not YAML: found a tab character that violates indentation while scanning a"
            " plain scalar of line 1; indent with spaces, not with tabs",
            id="tab after a value",
        ),
        pytest.param(
            "a: @b",
            "line 1, column 4: not YAML: found character that cannot start any token while scanning for the"
            " next token of line 1; indent with spaces, and quote a value that starts with @, % or `",
            id="reserved character",
        ),
        pytest.param(
            "a: b: c",
            "line 1, column 5: not YAML: mapping values are not allowed in this context;"
            " quote a value that holds ': ', or mend the indentation",
            id="colon in a value",
        ),
        pytest.param(
            "a: 1\nb\nc: 2",
            "line 3, column 1: not YAML: could not find expected ':' while scanning a simple key of line 2;"
            " write a colon and a space after the key",
            id="no colon",
        ),
        pytest.param(
            'a: "b\nc: 1\n',
            "line 3, column 1: not YAML: found unexpected end of stream while scanning a quoted scalar of"
            " line 1; close the quote",
            id="open quote",
        ),
        pytest.param(
            "a: {b: 1\nc: 2\n",
            "line 2, column 2: not YAML: did not find expected ',' or '}' while parsing a flow mapping of"
            " line 1; put commas between the entries and close the bracket",
            id="open bracket",
        ),
        pytest.param(
            "a:\n  b: 1\n c: 2\n",
            "line 3, column 2: not YAML: did not find expected key while parsing a block mapping of line 1;"
            " line it up with the lines above",
            id="indentation",
        ),
        pytest.param(
            'a: "\\q"',
            "line 1, column 5: not YAML: found unknown escape character while parsing a quoted scalar of"
            " line 1; in double quotes write \\\\ for a backslash, or use single quotes",
            id="escape",
        ),
        pytest.param(
            "a: }",
            "line 1, column 4: not YAML: did not find expected node content while parsing a block node of"
            " line 1; check quotes, brackets and indentation here and in the line above",
            id="stray bracket",
        ),
        pytest.param(
            "a: 1\n...\nb: 2\n",
            "line 3, column 1: not YAML: did not find expected <document start>;"
            " one file holds one document: remove what follows it",
            id="text after the end",
        ),
        pytest.param(
            "a: 1\n---\nb: 2\n",
            "line 2, column 1: a second document starts here; remove the ---, or make it a file of its own",
            id="two documents",
        ),
        pytest.param(
            "a: \0", "line 1, column 4: the control character U+0000 has no meaning here; remove it", id="NUL"
        ),
        pytest.param(
            "é\n\x1b[31m",
            "line 2, column 1: the control character U+001B has no meaning here; remove it",
            id="terminal escape",
        ),
        pytest.param(
            "%TAG ! x\n---\n", "line 1, column 1: %TAG has no meaning here; remove it", id="directive"
        ),
        pytest.param(
            b"a: 1\n\xc3\xa9\xff",
            "line 2, column 2: the byte 0xff is not UTF-8; save the file as UTF-8",
            id="not UTF-8",
        ),
        pytest.param("a: 1".encode("utf-16"), ": is UTF-16; save it as UTF-8", id="UTF-16"),
        pytest.param(
            "[" * 1_000_000,
            "line 1, column 51: more than 50 levels of nesting; a desired state has 5",
            id="a million brackets",
        ),
        pytest.param(
            "? " * 1_000_000,
            "line 1, column 101: more than 50 levels of nesting; a desired state has 5",
            id="a million nested keys",
        ),
        pytest.param(
            "{<<: " * 1000,
            "line 1, column 251: more than 50 levels of nesting; a desired state has 5",
            id="nested merges",
        ),
        pytest.param(
            "a: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)),
            "line 6, column 38: more than 1,000,000 values, aliases included; split the file",
            id="a billion laughs",
        ),
    ],
)
def test_what_is_not_yaml_is_one_problem_with_its_place(text: str | bytes, expected: str) -> None:
    """Nothing else is said about such a file."""
    assert problems(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(ledger("*x"), "15: acme/ledger: *x has no &x above it; define it first", id="no anchor"),
        pytest.param(
            ledger("&x {platformKey: *x}"),
            "32: acme/ledger: *x stands inside &x itself; write it out",
            id="an anchor in itself",
        ),
        pytest.param(
            ledger("!!python/object:os.system {}"),
            "15: acme/ledger: the tag '!!python/object:os.system' has no meaning here; remove it",
            id="tag of a mapping",
        ),
        pytest.param(
            ledger("!list []"),
            "15: acme/ledger: the tag '!list' has no meaning here; remove it",
            id="tag of a list",
        ),
        pytest.param(
            ledger("{platformKey: !!int gbol}"),
            "29: acme/ledger: the tag '!!int' has no meaning here; remove it",
            id="tag that doesn't fit",
        ),
        pytest.param(
            ledger("{!x platformKey: gbol}"),
            "16: acme/ledger: the tag '!x' has no meaning here; remove it",
            id="tag of a key",
        ),
        pytest.param(
            ledger("{? [a] : gbol}"),
            "18: acme/ledger: a key must be text; write a name and a colon",
            id="a list as key",
        ),
        pytest.param(
            ledger("{? *x : gbol}"),
            "18: acme/ledger: *x has no &x above it; define it first",
            id="an unknown alias as key",
        ),
        pytest.param(
            ledger("{platformKey: gbol, platformKey: xero}"),
            "35: acme/ledger: 'platformKey' is defined twice, first in line 6; remove or rename one",
            id="one key twice",
        ),
        pytest.param(
            ledger("{<<: {platformKey: gbol}, <<: {status: Linked}}"),
            "41: acme/ledger: a second <<; write one with a list: <<: [*first, *second]",
            id="two merge keys",
        ),
        pytest.param(
            ledger("{<<: 2024-01-01}"),
            "16: acme/ledger: << takes an alias of a mapping, such as <<: *name",
            id="merging a date",
        ),
        pytest.param(
            ledger("{<<: [*x, 1]}"),
            "21: acme/ledger: *x has no &x above it; define it first",
            id="merging an unknown alias",
        ),
        pytest.param(
            ledger("{<<: {<<: *x}}"),
            "25: acme/ledger: *x has no &x above it; define it first",
            id="merging what couldn't be read",
        ),
    ],
)
def test_what_only_yaml_can_get_wrong_is_one_problem_each(text: str, expected: str) -> None:
    """What is missing because of it isn't reported as missing."""
    assert problems(text) == [f"line 6, column {expected}"]


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    """Five mistakes are five lines."""
    text = (
        "version: 1\ncompanies:\n  acme:\n    id: 12\n    connections:\n"
        "      a: {platformKey: GBOL}\n      a: {}\n      b: {status: no}\n"
    )

    assert [line.partition(": ")[0] for line in problems(text)] == [
        "line 4, column 9",
        "line 6, column 24",
        "line 7, column 7",
        "line 8, column 10",
        "line 8, column 19",
    ]


def test_a_mistake_in_an_anchor_is_one_problem_however_often_it_is_used() -> None:
    """It stands at the anchor, with one of the addresses that use it."""
    text = ledger("&a {platformKey: GBOL}") + "      x: *a\n      y: {<<: *a, status: Unlinked}\n"

    (problem,) = problems(text)

    assert problem.startswith(
        "line 6, column 32: acme/ledger: platformKey 'GBOL': write 4 lower-case letters"
    )
