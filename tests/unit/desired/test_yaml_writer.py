"""Connections to YAML that the loader reads back equal."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from codat_iac.desired import load
from codat_iac.desired.yaml_writer import dump
from codat_iac.model.connection import ADDRESS_HALF, Address, DesiredConnection, OnExisting, OnRemoval, Status
from tests.support.builders import COMPANY, an_id

OTHER = "2e9d2c44-f675-40ba-8049-353bfcb5e171"


def read(folder: Path, text: str) -> tuple[DesiredConnection, ...]:
    """What the loader makes of a text."""
    (folder / "c.yaml").write_text(text, "utf-8")
    return load(folder / "c.yaml")


def test_it_reads_as_a_person_would_have_written_it() -> None:
    """A block for each company, a line for each connection, and only what isn't the default."""
    connections = [
        DesiredConnection(Address("bolt/xero"), OTHER, "gbol"),
        DesiredConnection(Address("acme/plaid-2"), COMPANY, "suuo", connection_id=an_id(2)),
        DesiredConnection(
            Address("acme/plaid"), COMPANY, "suuo", Status.UNLINKED, OnRemoval.DELETE, OnExisting.ADOPT
        ),
        DesiredConnection(Address("acme/xero"), COMPANY, "gbol", connection_id=an_id(3), protect=True),
    ]

    assert dump(connections, {COMPANY: "Acme Ltd"}, title=["Mine.", "Yours."]) == (
        "# Mine.\n"
        "# Yours.\n"
        "version: 1\n"
        "\n"
        "companies:\n"
        "  acme: # Acme Ltd\n"
        f"    id: {COMPANY}\n"
        "    connections:\n"
        "      plaid: { platformKey: suuo, status: Unlinked, onRemoval: delete, onExisting: adopt }\n"
        f"      plaid-2: {{ platformKey: suuo, connectionId: {an_id(2)} }}\n"
        f"      xero: {{ platformKey: gbol, protect: true, connectionId: {an_id(3)} }}\n"
        "  bolt:\n"
        f"    id: {OTHER}\n"
        "    connections:\n"
        "      xero: { platformKey: gbol }\n"
    )


def test_nothing_is_declared_on_purpose(tmp_path: Path) -> None:
    """An empty desired state is one that the loader takes."""
    assert dump([]) == "version: 1\n\ncompanies: {}\n"
    assert read(tmp_path, dump([])) == ()


@pytest.mark.parametrize(
    "half", ["no", "on", "null", "true", "007", "1.5", "0x1f", "0o17", "12e03", "1.5e-3", "2026-01-01"]
)
def test_what_any_yaml_takes_for_another_thing_is_in_quotes(tmp_path: Path, half: str) -> None:
    """Our loader takes keys as they are written; an editor, or `yq`, doesn't."""
    text = dump([DesiredConnection(Address(f"{half}/{half}"), COMPANY, "null")])

    assert list(yaml.safe_load(text)["companies"]) == [half]
    assert text.count(f'"{half}":') == 2
    assert read(tmp_path, text)[0].platform_key == "null"


@pytest.mark.parametrize("half", ["24-7-security", "acme", "3d-print", "x1.y_z", "123-0289743c"])
def test_what_is_text_anyway_stands_as_it_is(half: str) -> None:
    """Quotes are the exception."""
    assert f"  {half}:\n" in dump([DesiredConnection(Address(f"{half}/xero"), COMPANY, "gbol")])


@pytest.mark.parametrize(
    ("name", "comment"),
    [
        ("", ""),
        ("\x00\n\r\u2028", ""),
        ("Acme\nversion: 2", " # Acme version: 2"),
        ("Acme # 'Ltd' \"{}\" ", " # Acme # 'Ltd' \"{}\""),
        ("\u202eemca\ufeff\ufffe\U000e0001", " # emca"),
        ("🍕 Pizza", " # 🍕 Pizza"),
        ("x" * 200, f" # {'x' * 100}…"),
        ("https://link.codat.io/company/x?otp=secret", " # ***"),
    ],
)
def test_a_company_is_called_what_it_is_called_in_a_comment(tmp_path: Path, name: str, comment: str) -> None:
    """In one line, whatever somebody typed into Codat: it never becomes YAML, and never a secret."""
    text = dump([DesiredConnection(Address("acme/xero"), COMPANY, "gbol")], {COMPANY: name})

    assert text.splitlines()[3] == f"  acme:{comment}"
    assert len(read(tmp_path, text)) == 1


@st.composite
def desired_states(draw: st.DrawFn) -> list[DesiredConnection]:
    """Any desired state that a file can declare."""
    halves = st.from_regex(ADDRESS_HALF, fullmatch=True).filter(
        lambda half: len(half) <= 100
    ) | st.sampled_from(["no", "null", "1", "x"])
    found = []
    for number, half in enumerate(draw(st.lists(halves, unique=True, max_size=4))):
        for place, name in enumerate(draw(st.lists(halves, unique=True, max_size=4))):
            pinned = draw(st.booleans())
            choices = [OnExisting.REFUSE, OnExisting.ADOPT] if pinned else list(OnExisting)
            found.append(
                DesiredConnection(
                    Address(f"{half}/{name}"),
                    str(uuid.UUID(int=number)),
                    draw(st.sampled_from(["gbol", "suuo", "null", "true"])),
                    draw(st.sampled_from([Status.LINKED, Status.UNLINKED])),
                    draw(st.sampled_from(list(OnRemoval))),
                    draw(st.sampled_from(choices)),
                    an_id(number * 10 + place) if pinned else None,
                    draw(st.booleans()),
                )
            )
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files."""
    return tmp_path_factory.mktemp("written")


@settings(max_examples=300, deadline=None)
@given(connections=desired_states(), names=st.dictionaries(st.uuids().map(str), st.text()), name=st.text())
def test_the_loader_reads_back_what_was_written(
    home: Path, connections: list[DesiredConnection], names: dict[str, str], name: str
) -> None:
    """Whatever is declared, and whatever companies are called; written again, it is the same text."""
    names |= {connection.company_id: name for connection in connections}
    text = dump(connections, names)
    loaded = read(home, text)

    assert list(loaded) == sorted(connections, key=lambda connection: connection.address)
    assert dump(loaded, names) == text
