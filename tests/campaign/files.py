"""Malformed desired-state files: each must give right connections, or problems of one line each.

`python -m tests.campaign.files SEED NUMBER 1` runs one case again.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from codat_iac.desired import load
from codat_iac.desired.yaml_writer import dump
from codat_iac.model.connection import (
    ADDRESS,
    PLATFORM_KEY,
    UUID,
    DesiredConnection,
    OnExisting,
    OnRemoval,
    Status,
)
from codat_iac.model.errors import ConfigError
from tests.campaign import children
from tests.campaign.children import BrokenPromiseError

LONGEST_PROBLEM = 1000
"""The most characters of one problem, without the name of its file."""

MOST_MEMORY = 800
"""The most memory of one child, in MB."""

HOSTILE = [
    "\x1b[31m",
    "\x1b]8;;http://evil.example\x1b\\",
    "\x1b]0;title\x07",
    "\x9b2J",
    "\r",
    "\x08" * 5,
    "\x00",
    "\x7f",
    "\x85",
    "\x0b",
    "\x0c",
    "\t",
    "\n",
    "\u2028",
    "\u2029",
]
"""Characters that control a terminal, or begin a new line."""

MARKS = ["\u200e", "\u200f", "\u202a", "\u202d", "\u202e", "\u2066", "\u2069", "\ufeff", "\u200b", "\u00ad"]
"""Characters that reverse the direction of text, or are invisible."""

NUMBERS = [
    "0",
    "1",
    "-1",
    "1.0",
    "1e400",
    ".inf",
    "-.inf",
    ".nan",
    "0x1",
    "0o1",
    "012",
    "1_000",
    "190:20:30",
    "9" * 18,
    "9" * 19,
    "9" * 5000,
    "0x" + "f" * 3000,
    "1" + "_" * 2000,
    "2026-11-24",
    "2026-99-99",
    "2026-11-24T12:00:00+99:99",
    "=",
    "0b1",
    "1e-5",
    "+1",
    "٣",
]
WORDS = [
    "true",
    "no",
    "y",
    "null",
    "~",
    "",
    "Linked",
    "gbol",
    "create",
    "-",
    "[]",
    "{}",
    "''",
    '"',
    "*a",
    "&a",
]
KEYS = ["version", "defaults", "companies", "id", "connections", "platformKey", "status", "onRemoval", "x-y"]
TAGS = [
    "!!python/object/apply:os.system [true]",
    "!!python/name:os.system",
    "!!binary aGk=",
    "!!binary '???'",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!int gbol",
    "!!float x",
    "!!timestamp x",
    "!!bool maybe",
    "!!null x",
    "!!str 1",
    "!!map {}",
    "!!seq []",
    "! x",
    "!include /etc/passwd",
    "!<tag:evil> x",
    "!!merge <<",
    "!%41 x",
]

# What a good file holds.


def identity(rng: random.Random) -> str:
    """Return an id like Codat's."""
    text = str(uuid.UUID(int=rng.getrandbits(128)))
    return rng.choice([text, text.upper()])


def name(rng: random.Random) -> str:
    """Return a valid half of an address."""
    first = "abcdefghijklmnopqrstuvwxyz0123456789"
    longest = rng.choice([3, 8, 99])
    rest = "".join(rng.choice(first + "._-") for _ in range(rng.randrange(longest)))
    return rng.choice(["no", "null", "007", "1e3", "0o17", "acme", rng.choice(first) + rest])


def connection(rng: random.Random) -> dict[str, Any]:
    """Return a valid connection."""
    data = {"platformKey": "".join(rng.choices("abcgosuz", k=4))}
    if rng.random() < 0.3:
        data["status"] = rng.choice(["Linked", "Unlinked"])
    if rng.random() < 0.3:
        data["onRemoval"] = rng.choice(["unlink", "delete", "retain"])
    if rng.random() < 0.3:
        data["onExisting"] = rng.choice(["refuse", "adopt", "create"])
    if rng.random() < 0.3 and data.get("onExisting") != "create":
        data["connectionId"] = identity(rng)
    return data


def good(rng: random.Random) -> dict[str, Any]:
    """Return the data of a valid file."""
    data: dict[str, Any] = {"version": 1}
    if rng.random() < 0.3:
        data["defaults"] = {"onRemoval": "retain"}
    if rng.random() < 0.2:
        data["defaults"] = {"onExisting": rng.choice(["adopt", "create"])}
    data["companies"] = {
        name(rng): {
            "id": identity(rng),
            "connections": {name(rng): connection(rng) for _ in range(rng.randrange(4))},
        }
        for _ in range(rng.randrange(1, 4))
    }
    return data


def written(data: Any, rng: random.Random) -> str:
    """Return *data* as YAML, in one of its styles."""
    flow = rng.choice([None, False, True])
    text: str = yaml.safe_dump(
        data, default_flow_style=flow, sort_keys=False, allow_unicode=rng.random() < 0.5
    )
    return text


def placed(rng: random.Random, text: str) -> str:
    """Return a valid file in which *text* replaces something."""
    place = rng.choice(list(_USUAL))
    put = {each: text if each == place else usual for each, usual in _USUAL.items()}
    whole = (
        "version: {version}\n{key}: {note}\ncompanies:\n  {company}:\n    id: {id}\n    connections:\n"
        "      {connection}: {{platformKey: {platformKey}, status: {status}}}\n      more: {block}\n{top}\n"
    )
    return whole.format_map(put)


_USUAL = {
    "version": "1",
    "key": "x-key",
    "note": "{}",
    "company": "acme",
    "id": "8a210b68-6988-11ed-a1eb-0242ac120002",
    "connection": "ledger",
    "platformKey": "gbol",
    "status": "Linked",
    "block": "{platformKey: suuo}",
    "top": "",
}


def quoted(text: str, rng: random.Random) -> str:
    """Return *text* in YAML's quotes, with escapes or as it is."""
    escaped = "".join(letter if letter.isalnum() else f"\\U{ord(letter):08x}" for letter in text)
    return rng.choice([f'"{escaped}"', f'"{text}"', f"'{text}'", text])


def value(rng: random.Random, depth: int = 0) -> Any:
    """Return any data."""
    kind = rng.randrange(10 if depth < 4 else 7)
    if kind == 7:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind > 7:
        return {
            rng.choice([*KEYS, name(rng), 1, None, True, 2.5]): value(rng, depth + 1)
            for _ in range(rng.randrange(4))
        }
    few = [None, True, False, rng.randrange(3), rng.getrandbits(rng.choice([8, 64, 65, 4000])), rng.random()]
    return rng.choice([*few, float("nan"), float("inf"), "", "gbol", "Linked", identity(rng), name(rng)])


# The kinds of a case: each gives what stands in the file, or in the files by their names.


Files = dict[bytes, bytes]


def _yaml(text: str | bytes) -> Files:
    return {b"c.yaml": text if isinstance(text, bytes) else text.encode(errors="surrogatepass")}


def _good(rng: random.Random) -> Files:
    return _yaml(written(good(rng), rng))


def _bytes(rng: random.Random) -> Files:
    alphabet = rng.choice([bytes(range(256)), b" \n\t:-?[]{}&*!|>'\"%@`#,ab1", b"\n:-? a"])
    return _yaml(bytes(rng.choice(alphabet) for _ in range(rng.randrange(300))))


def _mutated(rng: random.Random) -> Files:
    raw = bytearray(rng.choice([WHOLE, written(good(rng), rng)]).encode())
    for _ in range(rng.choice([1, 1, 2, 3])):
        start = rng.randrange(len(raw) + 1)
        end = start + rng.choice([0, 1, 1, 5, 30])
        piece = rng.choice(
            ["", " ", "\n", "  ", ":", "\t", "{", "}", "'", '"', "#", "- ", *HOSTILE, *WORDS, *MARKS]
        )
        raw[start:end] = rng.choice([piece.encode(), bytes(raw[start:end]) * 2, bytes([rng.randrange(256)])])
    return _yaml(bytes(raw))


WHOLE = """\
version: 1
defaults: {onRemoval: retain}
companies:
  acme: &acme
    id: 8a210b68-6988-11ed-a1eb-0242ac120002
    connections:
      ledger: &ledger {platformKey: gbol}
      bank-a: {<<: *ledger, platformKey: "suuo", status: Unlinked}
      bank-b:
        platformKey: suuo
        connectionId: 2e9d2c44-f675-40ba-8049-353bfcb5e171
"""


def _pieces(rng: random.Random) -> Files:
    pieces = [
        *WHOLE.split("\n"),
        *WHOLE.split(),
        "<<",
        "- ",
        "? ",
        "*acme",
        "!!int ",
        "null",
        "012",
        "\t",
        "---\n",
    ]
    glue = rng.choice(["", " ", "\n", "\n  ", ", "])
    return _yaml(glue.join(rng.choice(pieces) for _ in range(rng.randrange(30))))


def _bomb(rng: random.Random) -> Files:
    width, levels = rng.choice([2, 9, 50]), rng.randrange(3, 60)
    lines = ["x-0: &a0 " + rng.choice(["lol", "{platformKey: gbol}", "[]", "{a: {b: c}}"])]
    for level in range(1, levels):
        last = f"*a{level - 1}"
        lines.append(
            f"x-{level}: &a{level} "
            + rng.choice(
                [
                    f"[{', '.join([last] * width)}]",
                    f"{{{', '.join(f'k{n}: {last}' for n in range(width))}}}",
                    f"{{<<: [{', '.join([last] * width)}], k{level}: {last}}}",
                ]
            )
        )
    return _yaml(f"version: 1\n{chr(10).join(lines)}\ncompanies: {rng.choice(['{}', f'*a{levels - 1}'])}\n")


def _aliases(rng: random.Random) -> Files:
    names = ["a", "b", "ä", "x" * rng.choice([1, 3000]), "1"]
    texts = [
        f"&{rng.choice(names)} {rng.choice(['x', '[]', '{platformKey: gbol}', 'gbol', '{<<: *a}', '[*a]'])}"
        for _ in range(3)
    ]
    texts += [f"*{rng.choice(names)}" for _ in range(3)]
    text = "x-y: &a {platformKey: gbol}\n" if rng.random() < 0.5 else ""
    for _ in range(rng.randrange(1, 3)):
        text += f"x-{rng.randrange(9)}: {rng.choice(texts)}\n"
    return _yaml(text + placed(rng, rng.choice(texts)))


def _nesting(rng: random.Random) -> Files:
    depth = rng.choice([5, 49, 50, 51, 1000, 100_000])
    opening, closing = rng.choice(
        [
            ("[", "]"),
            ("{a: ", "}"),
            ("{? ", "}"),
            ("[{", "}]"),
            ("- ", ""),
            ("? ", ""),
            ("[", ""),
            ("&a [", "]"),
        ]
    )
    text = opening * depth + "x" + closing * depth
    if rng.random() < 0.2:
        text = "\n" + "".join(f"{' ' * n}a:\n" for n in range(min(depth, 2000)))
    return _yaml(rng.choice([text, placed(rng, text)]))


def _types(rng: random.Random) -> Files:
    data: Any = good(rng)
    spot = data
    for _ in range(rng.randrange(5)):
        if isinstance(spot, dict) and spot:
            key = rng.choice(list(spot))
            if rng.random() < 0.3 or not isinstance(spot[key], dict):
                spot[key] = value(rng)
                break
            spot = spot[key]
    else:
        data = value(rng)
    return _yaml(written(data, rng))


def _numbers(rng: random.Random) -> Files:
    return _yaml(placed(rng, rng.choice(NUMBERS)))


def _merges(rng: random.Random) -> Files:
    source = rng.choice(
        ["*a", "*b", "[*a, *b]", "[*a, [*b]]", "x", "{}", "{<<: *a}", "[]", "null", "*none", "<<"]
    )
    inside = rng.choice(
        ["{<<: %s}", "{<<: %s, <<: *a}", "{<<: %s, platformKey: suuo}", "{'<<': %s}", "{? << : %s}"]
    )
    text = "x-a: &a {platformKey: gbol}\nx-b: &b {<<: *a, status: Linked, id: x}\n"
    return _yaml(text + placed(rng, inside % source))


def _duplicates(rng: random.Random) -> Files:
    lines = written(good(rng), rng).splitlines(keepends=True)
    for _ in range(rng.randrange(1, 4)):
        start = rng.randrange(len(lines))
        lines[start:start] = lines[start : start + rng.choice([1, 2, 5])]
    return _yaml("".join(lines))


def _control(rng: random.Random) -> Files:
    text = "".join(
        rng.choice(["acme", "a", *HOSTILE, chr(rng.randrange(32))]) for _ in range(rng.randrange(1, 6))
    )
    return _yaml(placed(rng, quoted(text, rng)))


def _direction(rng: random.Random) -> Files:
    text = "".join(
        rng.choice(["acme", "a", "é", "日", "\U0001f4a9", *MARKS]) for _ in range(rng.randrange(1, 6))
    )
    return _yaml(placed(rng, quoted(text, rng)))


def _encodings(rng: random.Random) -> Files:
    text = written(good(rng), rng) + rng.choice(["", "# é\n", "x-y: é\n"])
    coding = rng.choice(
        ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "latin-1", "utf-8-sig", "cp1252"]
    )
    raw = text.encode(coding)
    before = rng.choice(
        [b"", b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xc0\x80", b"\xf5\x80\x80\x80"]
    )
    return _yaml(before + raw[: rng.choice([len(raw), len(raw), len(raw) - 1])])


def _surrogates(rng: random.Random) -> Files:
    text = rng.choice(["\ud800", "\udfff", "\ud83d\ude00", "\udcff"])
    escaped = '"' + "".join(f"\\u{ord(letter):04x}" for letter in text) + '"'
    return _yaml(placed(rng, rng.choice([escaped, f'"{text}"', text])))


def _huge(rng: random.Random) -> Files:
    size = rng.choice([101, 1025, 70_000, 1_000_000])
    text = rng.choice(["a", "é", "a ", "\U0001f4a9", "1", "-", "a: ", '"\\x1b', "_", "0x", "1:", " "]) * size
    return _yaml(
        placed(
            rng, rng.choice([text, f"? {text}\n: x", f'"{text}"', f"'{text}'", f"|\n {text}", f"!{text} x"])
        )
    )


def _many(rng: random.Random) -> Files:
    count = rng.choice([100, 1000, 5000])
    wrong = rng.choice(
        [
            "n{0}: x",
            "n{0}: {{platformKey: gbol}}",
            "N{0}: {{}}",
            "n{0}: {{platformKey: gbol, platformkey: 1}}",
            "n: x",
        ]
    )
    rows = "".join(f"      {wrong.format(n)}\n" for n in range(count))
    start = (
        "version: 1\ncompanies:\n  acme:\n    id: 8a210b68-6988-11ed-a1eb-0242ac120002\n    connections:\n"
    )
    comments = "# c\n" * count
    anchors = "".join(f"x-{n}: &a{n} x\n" for n in range(count))
    unknown = "".join(f"companiez{n}: x\n" for n in range(count))
    return _yaml(
        rng.choice([start + rows, start + rows, comments, anchors + start, unknown, "---\n" * count])
    )


def _tags(rng: random.Random) -> Files:
    head = rng.choice(["", "", "%YAML 1.1\n---\n", "%YAML 9.9\n---\n", "%TAG ! x:\n---\n", "%FOO\n---\n"])
    return _yaml(head + placed(rng, rng.choice(TAGS)))


def _documents(rng: random.Random) -> Files:
    parts = [written(good(rng), rng), "---\n", "...\n", "# x\n", "", "---", "--- x\n", "\ufeff", "...---\n"]
    return _yaml("".join(rng.choice(parts) for _ in range(rng.randrange(1, 5))))


def _python(rng: random.Random) -> Files:
    returned = rng.choice([good(rng), value(rng), value(rng)])
    start = "from math import inf, nan\n"
    text = f"{start}def desired(): return {returned!r}\n"
    deep = rng.choice(["(", "[", "-", "lambda: ", "not ", "a.", "{1:"]) * rng.choice([50, 100_000])
    shouts = rng.choice(HOSTILE + MARKS + ["\ud800", "x" * 5000])
    text = rng.choice(
        [
            text,
            text,
            text,
            f"def desired():\n    raise ValueError({shouts!r})\n",
            f"class X(Exception):\n    def __str__(self): return {shouts!r}\ndef desired(): raise X\n",
            "class X(Exception):\n    def __str__(self): raise X\ndef desired(): raise X\n",
            "def desired():\n    x = {}\n    x['version'] = x\n    return x\n",
            "def desired(): return desired()\n",
            "def desired(): return {k: k for k in range(9)}\n",
            f"def desired(): return {{{shouts!r}: 1, 'version': type({shouts[:1]!r}, (), {{}})()}}\n",
            "class K(dict):\n    def items(self): raise KeyError('k')\ndef desired(): return K()\n",
            "class S(str):\n    def __eq__(self, o): raise KeyError\ndef desired(): return {'x': S('x')}\n",
            "import sys\nsys.exit(3)\n",
            "import os\nprint(os, file=open(os.devnull, 'w'))\ndesired = 3\n",
            f"desired = {deep}1\n",
            f"{start}# coding: {rng.choice(['utf-7', 'rot13', 'no-such', 'latin-1'])}\n",
            f"# coding: {rng.choice(['utf-7', 'rot13', 'no-such', 'latin-1', 'hex'])}\n{text}",
            f"{text}\x00",
            "def desired():\n\treturn 1\n        return 2\n",
            "def desired(): raise KeyError\ndef f(: pass\n",
            "def desired(): raise ExceptionGroup('x\\ny', [ValueError('a\\x1bb')])\n",
            f"def desired(): return {{'version': 1, 'companies': {{'a' * {10**6}: 1}}}}\n",
        ]
    )
    return {b"c.py": text.encode(errors="surrogatepass")}


def _folder(rng: random.Random) -> Files:
    names = [
        b"a.yaml",
        b"b.YML",
        b"a\x1b[31m.yaml",
        b"\xff\xfe.yaml",
        "é\u202e.yaml".encode(),
        b"new\nline.yaml",
    ]
    names += [
        b".hidden.yaml",
        b"Pulumi.yaml",
        b"_help.py",
        b"x.txt",
        b"x.json",
        b"c.py",
        b"n" * 240 + b".yaml",
    ]
    files: Files = {}
    kinds = [_good, _good, _good, _bytes, _types, _mutated, _python, _control]
    twin = _good(rng)
    for each in rng.sample(names, rng.randrange(1, 5)):
        (text,) = rng.choice([twin, rng.choice(kinds)(rng)]).values()
        files[each] = text
    return files


KINDS: dict[str, tuple[int, Callable[[random.Random], Files]]] = {
    "good": (6, _good),
    "bytes": (12, _bytes),
    "pieces": (6, _pieces),
    "mutated": (16, _mutated),
    "bomb": (4, _bomb),
    "aliases": (8, _aliases),
    "nesting": (4, _nesting),
    "types": (14, _types),
    "numbers": (6, _numbers),
    "merge keys": (6, _merges),
    "duplicate keys": (6, _duplicates),
    "control characters": (8, _control),
    "direction marks": (5, _direction),
    "encodings": (6, _encodings),
    "surrogates": (3, _surrogates),
    "huge words": (2, _huge),
    "many lines": (1, _many),
    "tags": (5, _tags),
    "documents": (3, _documents),
    "python": (8, _python),
    "folder": (5, _folder),
}
"""The kinds of cases, each with its weight."""


# One case.


def case(rng: random.Random) -> tuple[str, Callable[[], str]]:
    """Return a random case: its kind, and a function to run it."""
    kind, make = children.drawn(rng, KINDS)
    files = make(rng)
    return kind, lambda: _tried(kind, files)


def _tried(kind: str, files: Files) -> str:
    folder = tempfile.mkdtemp()
    try:
        for each, raw in files.items():
            Path(folder, os.fsdecode(each)).write_bytes(raw)
        path = folder if kind == "folder" else str(Path(folder, *map(os.fsdecode, files)))
        try:
            loaded = load(path)
        except ConfigError as error:
            _explained(error, path)
            return "refused"
        _right(loaded, folder)
        return "loaded"
    finally:
        shutil.rmtree(folder)


def _explained(error: ConfigError, path: str) -> None:
    """Check that every problem is one line that can be understood alone."""
    if not error.problems:
        raise BrokenPromiseError(f"an error without problems: {error!r}")
    if len(set(error.problems)) < len(error.problems):
        raise BrokenPromiseError("a problem is told twice")
    for problem in map(str, error.problems):
        if not problem.isprintable() or not problem.startswith(path):
            raise BrokenPromiseError(f"no line that names the file: {problem!r:.3000}")
        if len(problem) > 2 * len(path) + LONGEST_PROBLEM + 300:
            raise BrokenPromiseError(f"too long: {problem!r:.3000}")


def _right(loaded: tuple[DesiredConnection, ...], folder: str) -> None:
    """Check the assumptions of the rest of the program, and that the written file loads back equal."""
    addresses = [each.address for each in loaded]
    ids = [each.connection_id for each in loaded if each.connection_id]
    companies = {(each.address.partition("/")[0], each.company_id) for each in loaded}
    right = (
        addresses == sorted(set(addresses))
        and len(ids) == len(set(ids))
        and len(companies) == len({half for half, _ in companies}) == len({one for _, one in companies})
        and all(map(_sound, loaded))
    )
    if not right:
        raise BrokenPromiseError(f"loaded and not right: {loaded!r:.3000}")
    again = Path(folder, "again.yaml")
    again.write_text(dump(loaded), "utf-8")
    if load(again) != loaded:
        raise BrokenPromiseError(f"written and read again it differs: {loaded!r:.3000}")


def _sound(each: DesiredConnection) -> bool:
    ids = [each.company_id, *([each.connection_id] if each.connection_id is not None else [])]
    return (
        bool(ADDRESS.fullmatch(each.address))
        and max(map(len, each.address.split("/"))) <= 100
        and bool(PLATFORM_KEY.fullmatch(each.platform_key))
        and all(UUID.fullmatch(one) and one == one.lower() for one in ids)
        and each.status in {Status.LINKED, Status.UNLINKED}
        and each.on_removal in set(OnRemoval)
        and each.on_existing in set(OnExisting)
    )


def campaign(runs: int, seed: int, tell: Callable[[str], None]) -> list[str]:
    """Load *runs* files, report how many of each kind were loaded or refused, and return the violations."""
    return children.campaign(__name__, runs, seed, tell, most_memory=MOST_MEMORY)


if __name__ == "__main__":
    children.child(case)
