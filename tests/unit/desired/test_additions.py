"""What an import adds to a file that people edit: all that stood there stays, byte for byte."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codat_iac.desired import load
from codat_iac.desired.additions import add
from codat_iac.model.connection import Address, DesiredConnection, OnExisting, OnRemoval, Status
from codat_iac.model.errors import ConfigError
from tests.support.builders import COMPANY, an_id

BOLT = "2e9d2c44-f675-40ba-8049-353bfcb5e171"

SHOP = DesiredConnection(Address("acme/shop"), COMPANY, "fztf", connection_id=an_id(7))
BANK = DesiredConnection(Address("bolt/bank"), BOLT, "suuo", Status.UNLINKED)


def added(text: str, *connections: DesiredConnection) -> str:
    """The text after an addition; what the loader makes of it is checked."""
    Path("c.yaml").write_bytes(text.encode())
    before = load("c.yaml")
    after = add("c.yaml", text.encode(), connections, {COMPANY: "Acme & Sons", BOLT: "Bolt"})
    Path("c.yaml").write_bytes(after)
    loaded = load("c.yaml")
    new = {each.address for each in connections}
    assert tuple(each for each in loaded if each.address not in new) == before
    assert new <= {each.address for each in loaded}
    return after.decode()


def lines(text: str) -> list[str]:
    """The lines of a text, each with its end."""
    return text.splitlines(keepends=True)


def changed(before: str, after: str) -> list[str]:
    """The lines that a diff would show, each with its sign."""
    return [line for line in difflib.ndiff(lines(before), lines(after)) if line[0] in "+-"]


def filled_in(text: str) -> str:
    """A text with the ids of the companies, and the line of the new connection."""
    shop = f"shop: {{ platformKey: fztf, connectionId: {an_id(7)} }}"
    return text.replace("ACME", COMPANY).replace("BOLT", BOLT).replace("SHOP", shop)


NASTY = f"""\
# yaml-language-server: $schema=../../schemas/connections.schema.json
#\tA comment with a tab, and with “Ümläute” 🍕: x
---
version:   1     # aligned

defaults: {{onRemoval: retain}}   # for all

x-note: >-
   a long word{" word" * 40}

   # no comment
x-standard: &standard {{platformKey:   "gbol",   status: 'Linked'}}

"companies":

    acme:             # ours
        id:   '{COMPANY}'
        connections:

            ledger: {{<<: *standard}}   # Xero
            'books': *standard

            # paused: {{platformKey: suuo}}

    # Bolt comes later.

# The end.
x-more:
- one
-   two
"""


def test_a_file_of_people_gets_lines_and_loses_nothing() -> None:
    """Comments, anchors, merge keys, quotes, blank lines and columns stay; the lines fit in."""
    after = added(NASTY, SHOP, BANK)

    assert changed(NASTY, after) == [
        f"+             shop: {{ platformKey: fztf, connectionId: {an_id(7)} }}\n",
        "+     bolt: # Bolt\n",
        f"+         id: {BOLT}\n",
        "+         connections:\n",
        "+             bank: { platformKey: suuo, status: Unlinked }\n",
    ]
    shown = after.splitlines()
    shop = next(number for number, line in enumerate(shown) if "shop:" in line)
    assert shown[shop - 1] == "            # paused: {platformKey: suuo}"
    assert shown[shop + 2 : shop + 4] == ["    # Bolt comes later.", "    bolt: # Bolt"]


def test_what_is_added_follows_the_defaults_of_the_file() -> None:
    """They are meant for every connection that doesn't say otherwise."""
    added(NASTY, SHOP)

    (shop,) = (each for each in load("c.yaml") if each.address == SHOP.address)
    assert shop == dataclasses.replace(SHOP, on_removal=OnRemoval.RETAIN)


def test_defaults_that_would_make_another_one_are_no_reason_to_refuse() -> None:
    """`onExisting: create` in the defaults isn't meant for what has an id."""
    added("version: 1\ndefaults: {onExisting: create}\ncompanies: {}\n", SHOP, BANK)

    assert [each.on_existing for each in load("c.yaml")] == [OnExisting.REFUSE, OnExisting.CREATE]


PLAIN = filled_in("""\
version: 1
companies:
  acme:
    id: ACME
    connections:
      a: {platformKey: gbol}
""")


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n", "\x85", "\u2028"], ids=ascii)
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("start", ["", "\ufeff"], ids=ascii)
def test_the_ends_of_lines_stay(ending: str, last: bool, start: str) -> None:
    """Those of Windows and others, none at the end of the file, and a mark at its beginning."""
    before = start + PLAIN.replace("\n", ending)[: None if last else -len(ending)]

    after = added(before, SHOP, BANK)

    assert after.startswith(before[:-1])
    assert after.endswith(ending) == last
    new = after[len(before) :]
    assert new.count(ending) == 5
    assert new.replace(ending, "").isprintable()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            """\
version: 1
companies:‹ {}›«
  acme: # Acme & Sons
    id: ACME
    connections:
      SHOP»
""",
            id="none yet",
        ),
        pytest.param(
            """\
companies: &all‹ { }› # none yet«
  acme: # Acme & Sons
    id: ACME
    connections:
      SHOP»
version: 1""",
            id="none yet, with an anchor and a comment",
        ),
        pytest.param(
            """\
version: 1
companies:
   acme:
      id: ACME
      connections:‹ {}› # none«
         SHOP»
""",
            id="a company without connections",
        ),
        pytest.param(
            """\
version: 1
companies:
‹  {}›«
  acme: # Acme & Sons
    id: ACME
    connections:
      SHOP»
""",
            id="none, in a line of its own",
        ),
        pytest.param(
            "{version: 1, companies: {acme: {id: ACME, connections: {a: {platformKey: gbol}«, SHOP»}}}} # c",
            id="all in one line",
        ),
        pytest.param(
            "{version: 1, companies: {acme: {id: ACME, connections: {« SHOP »}}}} # c\n",
            id="none, within braces",
        ),
        pytest.param(
            "version: 1\ncompanies:\n  acme: {id: ACME, connections: {« SHOP »}} # c\n",
            id="none, within the braces of a company",
        ),
        pytest.param(
            """\
version: 1
companies: {« acme: { id: ACME, connections: { SHOP } }»
  # none yet
}
""",
            id="braces around a comment",
        ),
        pytest.param(
            """\
version: 1
companies:
  acme:
    id: ACME
    connections: {
      a: {platformKey: gbol}, # A
      b: {platformKey: suuo}«,»   # B«
      SHOP»
    }
""",
            id="a line for each within braces",
        ),
        pytest.param(
            """\
version: 1
companies:
  acme:
    id: ACME
    connections: {
      a: {platformKey: gbol}, # A«
      SHOP,»
    }
""",
            id="a comma after the last",
        ),
        pytest.param(
            """\
version: 1
companies:
  acme:
    id: ACME
    connections: {a: {platformKey: gbol}«, SHOP»,
    }
""",
            id="braces that begin in the line",
        ),
        pytest.param(
            """\
version: 1
companies:
  acme:
    id: ACME
    connections:
      a:
        platformKey: |-
          gbol

«
      SHOP»
# The end.
""",
            id="the last value is a block of text",
        ),
        pytest.param(
            """\
version: 1
companies:
  acme:
    id: ACME
    connections:
      a:
        platformKey: |-
          gbol«
      SHOP»""",
            id="the last value is a block of text without an end",
        ),
        pytest.param(
            """\
version: 1
companies:
  acme:
    id: ACME
    connections:
      a:
        platformKey: gbol
        protect: # not yet
          false«
      SHOP»
...
""",
            id="an end of the document",
        ),
        pytest.param(
            """\
version: 1
? companies
: ? acme
  : id: ACME
    connections:
      a: {platformKey: gbol}«
      SHOP»
""",
            id="keys with a question mark",
        ),
        pytest.param(
            """\
version: 1
x-a: &a {platformKey: gbol}
x-b: &a {platformKey: suuo}
companies:
  acme:
    id: ACME
    connections:
      a: *a«
      SHOP»
""",
            id="one anchor twice",
        ),
        pytest.param(
            """\
version: 1
x-a: &a {a: {platformKey: gbol}}
companies:
  acme:
    id: ACME
    connections:
      <<: *a«
      SHOP»
""",
            id="a merge key within",
        ),
    ],
)
def test_the_line_fits_where_it_comes_in(text: str) -> None:
    """Whatever the style around it: what is between «» comes, and braces with nothing in them go."""
    before = filled_in(re.sub("«.*?»", "", text, flags=re.DOTALL).replace("‹", "").replace("›", ""))
    after = filled_in(re.sub("‹.*?›", "", text).replace("«", "").replace("»", ""))

    assert added(before, SHOP) == after


def test_several_come_in_at_several_places() -> None:
    """In companies that are there, and in new ones at the end, sorted."""
    text = PLAIN + filled_in("  bolt:\n    id: BOLT\n    connections:\n      a: {platformKey: gbol}\n")
    more = [
        DesiredConnection(Address(f"{half}/x-{number}"), company_id, "fztf")
        for number in (2, 1)
        for half, company_id in (("dove", an_id(2)), ("bolt", BOLT), ("acme", COMPANY), ("cove", an_id(1)))
    ]
    two = ["      x-1: { platformKey: fztf }", "      x-2: { platformKey: fztf }"]

    after = added(text, *more)

    old = text.splitlines()
    assert after.splitlines() == [
        *(*old[:6], *two),
        *(*old[6:], *two),
        *("  cove:", f"    id: {an_id(1)}", "    connections:", *two),
        *("  dove:", f"    id: {an_id(2)}", "    connections:", *two),
    ]


@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("connections", [{}, {"a": {"platformKey": "gbol"}}])
def test_json_stays_json(indent: int | str | None, connections: dict[str, object]) -> None:
    """It is YAML too, but what reads it besides need not know that."""
    data = {"version": 1, "companies": {"acme": {"id": COMPANY, "connections": connections}}}
    before = json.dumps(data, indent=indent)

    after = json.loads(added(before, SHOP, BANK))

    shop = {"platformKey": "fztf", "connectionId": an_id(7)}
    bank = {"platformKey": "suuo", "status": "Unlinked"}
    companies = after["companies"]
    assert companies.pop("bolt") == {"id": BOLT, "connections": {"bank": bank}}
    assert companies["acme"]["connections"].pop("shop") == shop
    assert after == data


REMEDY = (
    "; declare the new ones yourself and import again, or let --out name another file, in a folder that"
    " codat:desired names"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "version: 1\nx-a: &a {id: ACME, connections: {}}\ncompanies:\n  acme: *a\n",
            "c.yaml, line 4, column 9: acme is an alias",
            id="a company",
        ),
        pytest.param(
            "version: 1\nx-a: &a {}\ncompanies:\n  acme:\n    id: ACME\n    connections: *a\n",
            "c.yaml, line 6, column 18: connections is an alias",
            id="connections",
        ),
        pytest.param(
            "version: 1\nx-a: &a {}\ncompanies: *a\n",
            "c.yaml, line 3, column 12: companies is an alias",
            id="companies",
        ),
        pytest.param(
            "version: 1\nx-a: &a {connections: {}}\ncompanies:\n  acme: {<<: *a, id: ACME}\n",
            "c.yaml, line 4, column 9: connections comes from a merge key",
            id="connections of a merge key",
        ),
        pytest.param(
            "x-a: &a {version: 1, companies: {}}\n<<: *a\n",
            "c.yaml, line 1, column 1: companies comes from a merge key",
            id="companies of a merge key",
        ),
    ],
)
def test_what_stands_somewhere_else_is_refused(text: str, said: str) -> None:
    """An addition there would come in at every place that repeats it."""
    with pytest.raises(ConfigError) as caught:
        added(filled_in(text), SHOP)

    assert str(caught.value) == f"{said}, so nothing can be added there{REMEDY}"


@pytest.mark.parametrize(
    ("text", "connection", "said"),
    [
        pytest.param(
            "version: 1\ncompanies:\n  acme: {id: ACME, connections: &a {}}\n"
            "  bolt: {id: BOLT, connections: *a}\n",
            dataclasses.replace(SHOP, connection_id=None),
            "bolt/shop would be declared too",
            id="an anchor that is used again",
        ),
        pytest.param(
            "version: 1\nx-all: &all\n  bolt: {id: BOLT, connections: {a: {platformKey: gbol}}}\n"
            "companies:\n  <<: *all\n",
            BANK,
            "bolt/a would not be declared as it is",
            id="a company of a merge key",
        ),
        pytest.param(
            "version: 1\ncompanies:\n  acme: {id: ACME, connections: {shop: {platformKey: gbol}}}\n",
            SHOP,
            "company acme: 'shop' is defined twice, first in line 3; remove or rename one",
            id="the same name",
        ),
        pytest.param(
            "version: 1\ncompanies:\n  acme: {id: BOLT, connections: {}}\n",
            SHOP,
            "acme/shop would not be declared as it is",
            id="another company of that name",
        ),
        pytest.param(
            "version: 1\ncompanies:\n  ? acme\n  : id: ACME\n    connections: {}\n",
            BANK,
            "company acme: unknown key 'bolt'; known here: connections, id, match",
            id="companies with a question mark",
        ),
    ],
)
def test_what_would_say_something_else_is_refused(
    text: str, connection: DesiredConnection, said: str
) -> None:
    """The text is read again before it is written; the cause is told in one line."""
    with pytest.raises(ConfigError) as caught:
        add("c.yaml", filled_in(text).encode(), [connection], {})

    assert str(caught.value) == f"c.yaml: nothing can be added: {said}{REMEDY}"


# Any file.

SEPARATORS = "\x85\u2028\u2029\ufeff\ufffe\uffff"
COMMENTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters=SEPARATORS)
    | st.just("\t"),
    max_size=12,
)


@dataclass
class Writer:
    """Writes well-formed files of any style, each a list of lines."""

    draw: st.DrawFn
    step: int
    anchors: int = 0

    def one(self, *choices: str) -> str:
        """One of the choices."""
        return self.draw(st.sampled_from(choices))

    def end(self) -> str:
        """What may follow in a line."""
        return self.draw(st.sampled_from(["", " "]) | COMMENTS.map(lambda text: f" #{text}"))

    def between(self, depth: int) -> list[str]:
        """Lines that say nothing: blank ones, and comments as far in as what follows, or further."""
        found = []
        for kind in self.draw(st.lists(st.sampled_from(["blank", "comment", "further in"]), max_size=2)):
            columns = (depth + (kind == "further in")) * self.step
            comment = " " * columns + f"#{self.draw(COMMENTS)}"
            found.append(" " * self.draw(st.integers(0, self.step)) if kind == "blank" else comment)
        return found

    def text(self, text: str) -> str:
        """A key or a value."""
        return self.one(text, f"'{text}'", f'"{text}"')

    def anchor(self) -> str:
        """An anchor or none."""
        self.anchors += 1
        return self.one("", f"&a{self.anchors} ")

    def connection(self, name: str) -> list[str]:
        """One connection."""
        margin, inner = " " * 3 * self.step, " " * 4 * self.step
        key = f"{margin}{self.text(name)}: "
        style = self.one("flow", "lines of flow", "block", "text", "merge")
        if style == "flow":
            return [f"{key}{self.anchor()}{{platformKey: {self.text('gbol')} }}{self.end()}"]
        if style == "merge":
            return [f"{key}{{ <<: *std, onRemoval: !!str delete}}{self.end()}"]
        if style == "lines of flow":
            start, middle = f"{key}{{{self.end()}", f"{margin} platformKey: gbol{self.end()}"
            return [start, *self.between(3), middle, f"{margin} }}{self.end()}"]
        value = ["|-", f"{inner} gbol"] if style == "text" else [f"{self.text('gbol')}{self.end()}"]
        start = f"{key}{self.anchor()}{self.end()}"
        return [start, *self.between(4), f"{inner}platformKey: {value[0]}", *value[1:]]

    def company(self, name: str, number: int) -> list[str]:
        """One company, with any number of connections."""
        margin, inner = " " * self.step, " " * 2 * self.step
        found = [f"{margin}{self.text(name)}:{self.end()}", *self.between(2)]
        found += [f"{inner}id: {self.text(an_id(number))}{self.end()}", *self.between(2)]
        names = self.draw(st.lists(st.sampled_from(["a", "b", "no", "x-1"]), unique=True, max_size=3))
        braces = "" if names else self.one("{}", "{ }")
        found.append(f"{inner}connections: {self.anchor()}{braces}{self.end()}")
        for each in names:
            found += [*self.between(3), *self.connection(each)]
        return found

    def file(self, halves: list[str]) -> list[str]:
        """A file with these companies."""
        found = [
            *self.between(0),
            f"version: 1{self.end()}",
            f"x-std: &std {{platformKey: suuo}}{self.end()}",
        ]
        found += [*self.between(0), f"companies:{'' if halves else ' {}'}{self.end()}"]
        for number, half in enumerate(halves):
            found += [*self.between(1), *self.company(half, number)]
        return [*found, *self.between(1), *self.draw(st.sampled_from([[], ["x-after:", "- 1", "-   2"]]))]


@st.composite
def files(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A well-formed file, and the companies in it."""
    writer = Writer(draw, draw(st.integers(1, 5)))
    halves = draw(st.lists(st.sampled_from(["acme", "bolt", "null", "7"]), unique=True, max_size=3))
    ending = writer.one("\n", "\r\n")
    return writer.one("", "\ufeff") + ending.join(writer.file(halves)) + writer.one("", ending), halves


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files."""
    return tmp_path_factory.mktemp("added")


@settings(max_examples=200, deadline=None)
@given(file=files(), data=st.data())
def test_every_old_line_is_still_there(home: Path, file: tuple[str, list[str]], data: st.DataObject) -> None:
    """In order, and the loader reads the old and the new connections."""
    text, halves = file
    into = data.draw(st.lists(st.sampled_from([*halves, "new", "007"]), unique=True, min_size=1))
    new = [
        DesiredConnection(
            Address(f"{half}/{name}"),
            an_id(halves.index(half) if half in halves else 90 + number),
            "fztf",
            connection_id=data.draw(st.sampled_from([None, an_id(1000 + 10 * number + place)])),
        )
        for number, half in enumerate(into)
        for place, name in enumerate(["y", "z"])
    ]
    path = home / "c.yaml"
    path.write_bytes(text.encode())
    before = load(path)

    after = add(str(path), text.encode(), new, {an_id(90): "New"})

    path.write_bytes(after)
    assert {each.address: each for each in load(path)} == {each.address: each for each in (*before, *new)}
    remaining = iter(lines(after.decode()))
    for line in lines(text):
        kept = {line.rstrip(), re.sub(r"[ \t]*\{ ?\}", "", line).rstrip()}
        assert any(now.rstrip() in kept for now in remaining), line
