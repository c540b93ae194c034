"""What a process that planned tells the one that acts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codat_iac.emulator import Emulator
from codat_iac.model.connection import (
    RESOURCE_TYPE,
    DataConnectionError,
    LiveConnection,
    OnRemoval,
    PriorConnection,
    Status,
)
from codat_iac.model.errors import ConfigError, UnsafePlan
from codat_iac.reconcile import handover
from tests.support.builders import COMPANY, Run, a_desired, a_live, a_prior, a_run, an_id, connected, rows

LINK = "https://link-api.codat.io/start?otp=s3cr3t"


@pytest.fixture
def hand_over(tmp_path: Path) -> Callable[..., None]:
    """Tell a run what is known."""

    def tell(
        run: Run,
        *recorded: PriorConnection,
        staying: dict[str, str] | None = None,
        companies: dict[str, tuple[LiveConnection, ...]] | None = None,
        **rest: Any,
    ) -> None:
        file = tmp_path / "handover.json"
        file.write_text(handover.to_json(recorded, staying or {}, companies or {}, **rest))
        handover.load(file, run.operations)

    return tell


@pytest.fixture
def run(emulator: Emulator) -> Run:
    """The process that acts."""
    return a_run(emulator)


def test_nothing_secret_is_in_it() -> None:
    """Neither a link nor the words of an error of Codat's, in which there could be one."""
    error = DataConnectionError(error_message=LINK)
    live = a_live(link_url=LINK, data_connection_errors=(error,))

    text = handover.to_json([a_prior()], {a_prior().place: an_id(1)}, {COMPANY: [live]})

    assert "otp" not in text
    assert an_id(1) in text


def test_what_it_tells_is_known_without_a_call(
    run: Run, emulator: Emulator, hand_over: Callable[..., None]
) -> None:
    """What is live in a company that changes, and that what is recorded there and isn't live is absent."""
    here, gone = a_prior(1), a_prior(2, a_desired("acme/gone"))
    live = a_live(1, last_sync="2026-11-24T00:00:00Z", integration_id=an_id(7), platform_name="Xero")

    hand_over(run, here, gone, companies={COMPANY: (live,)})

    assert run.operations.find(here) == live
    assert run.operations.find(gone) is None
    assert emulator.requests()["total"] == 0


def test_another_company_is_read_when_it_is_needed(
    run: Run, emulator: Emulator, acme: str, hand_over: Callable[..., None]
) -> None:
    """Only the companies that change are told of; nothing is absent for want of a word."""
    prior = a_prior(connected(emulator, acme), a_desired(company_id=acme))

    hand_over(run, prior, companies={COMPANY: ()})

    live = run.operations.find(prior)
    assert live is not None
    assert live.status == "Linked"


def test_a_company_without_connections_has_none(
    run: Run, emulator: Emulator, hand_over: Callable[..., None]
) -> None:
    """One that is accepted as gone is told of as empty."""
    hand_over(run, a_prior(1), companies={COMPANY: ()})

    assert run.operations.find(a_prior(1)) is None
    assert emulator.requests()["total"] == 0


def test_what_stays_is_held(run: Run, emulator: Emulator, acme: str, hand_over: Callable[..., None]) -> None:
    """A removal of an id that another address keeps is only forgotten: the rest of the stack isn't read."""
    linked = connected(emulator, acme)
    keeps = a_prior(linked, a_desired("acme/books", company_id=acme))
    old = a_prior(linked, a_desired("acme/ledger", company_id=acme))

    hand_over(run, keeps, old, staying={keeps.place: linked}, companies={acme: ()})
    run.operations.remove(old)

    assert rows(emulator, acme) == {linked: "Linked"}
    assert emulator.counts() == {}


def test_a_refused_unlink_is_remembered(run: Run, hand_over: Callable[..., None]) -> None:
    """What Codat refused isn't asked again, with everything else that is recorded."""
    desired = a_desired(status=Status.UNLINKED, on_removal=OnRemoval.RETAIN)
    prior = a_prior(1, desired, "Deauthorized", unlink_refused=True)

    hand_over(run, prior)

    assert run.operations.state.leaving() == {prior.id: prior}


def test_only_what_was_approved_is_lost(
    run: Run, emulator: Emulator, acme: str, hand_over: Callable[..., None]
) -> None:
    """Which the plan has shown: what a customer authorises meanwhile stays."""
    shown, meanwhile = (
        a_prior(
            connected(emulator, acme, key),
            a_desired(f"acme/{key}", company_id=acme, platform_key=key),
        )
        for key in ("gbol", "fztf")
    )
    hand_over(run, shown, meanwhile, approved=[shown.id])

    with pytest.raises(UnsafePlan, match=r"^would end an authorisation that nobody approved: acme/fztf"):
        run.operations.remove(meanwhile)

    assert rows(emulator, acme) == {shown.id: "Linked", meanwhile.id: "Linked"}


def test_a_run_that_only_removes_is_no_destroy(
    run: Run, emulator: Emulator, acme: str, hand_over: Callable[..., None]
) -> None:
    """Its targets are all gone from the file, and what each loses was shown."""
    prior = a_prior(connected(emulator, acme), a_desired(company_id=acme))
    hand_over(run, prior, approved=[prior.id])

    run.operations.remove(prior)

    assert rows(emulator, acme) == {prior.id: "Unlinked"}


def test_what_is_not_told_of_is_not_recorded(
    run: Run, emulator: Emulator, acme: str, hand_over: Callable[..., None]
) -> None:
    """The state was read as a whole, so what waits there can't be another address's."""
    waiting = connected(emulator, acme, status="PendingAuth")

    hand_over(run)

    assert run.operations.create(a_desired(company_id=acme)).id == waiting


def test_what_is_told_of_is_recorded(
    run: Run, emulator: Emulator, acme: str, hand_over: Callable[..., None]
) -> None:
    """A new connection takes none of them, though the run reads only itself."""
    there = connected(emulator, acme, status="PendingAuth")

    hand_over(run, a_prior(there, a_desired("acme/books", company_id=acme)))

    assert run.operations.create(a_desired(company_id=acme)).id != there


def test_where_it_is_recorded_is_told(run: Run, hand_over: Callable[..., None]) -> None:
    """With its parents, and under the name that `pulumi state rename` gave it."""
    urn = f"urn:pulumi:test::shop::shop:index:Customer${RESOURCE_TYPE}::acme/renamed"
    prior = a_prior(1, a_desired("acme/old"), urn=urn)

    hand_over(run, prior)

    assert run.operations.state.leaving() == {prior.id: prior}


def test_what_is_gone_is_known_to_come_again(run: Run, hand_over: Callable[..., None]) -> None:
    """It counts among those that get a connection, before anybody looks for it."""
    here, *gone = (a_prior(number, a_desired(f"acme/{letter}")) for number, letter in enumerate("abc", 1))

    hand_over(run, here, *gone, companies={COMPANY: (a_live(1),)})

    besides = [run.operations.state.slot_view(prior.desired) for prior in gone]
    assert run.operations.state.missing_count == 2
    assert [(beside.rank, beside.comers) for beside in besides] == [(0, 2), (1, 2)]


def test_an_old_half_is_told_as_one(
    run: Run, emulator: Emulator, acme: str, hand_over: Callable[..., None]
) -> None:
    """The file went back to what it said before a replacement that broke off: the old one is taken back."""
    desired = a_desired(company_id=acme)
    old = a_prior(connected(emulator, acme), desired, pending_removal=True)
    newer = a_prior(connected(emulator, acme, "qhyg"), a_desired(company_id=acme, platform_key="qhyg"))
    hand_over(run, old, newer)

    assert run.operations.create(desired).id == old.id


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="no file"),
        pytest.param("", id="empty"),
        pytest.param("[]", id="a list"),
        pytest.param("{}", id="nothing in it"),
        pytest.param('{"recorded": [], "staying": {}, "companies": {}}', id="no word of what is declared"),
        pytest.param(
            '{"recorded": [{}], "staying": {}, "declares": true, "companies": {}}',
            id="a record without an id",
        ),
        pytest.param(
            '{"recorded": [], "staying": 7, "declares": true, "companies": {}}', id="staying is a number"
        ),
        pytest.param(
            '{"recorded": [], "staying": {}, "declares": true, "companies": []}', id="companies are a list"
        ),
        pytest.param(
            '{"recorded": [], "staying": {}, "declares": true, "companies": {"a": [{"x": 1}]}}',
            id="no connection",
        ),
        pytest.param(
            json.dumps({"recorded": ["x"], "staying": {}, "declares": True, "companies": {}}), id="a text"
        ),
    ],
)
def test_a_file_that_is_not_ours_is_refused(run: Run, tmp_path: Path, text: str | None) -> None:
    """A stale variable must not pass for a plan; the message says what to do."""
    file = tmp_path / "some.json"
    if text is not None:
        file.write_text(text)

    with pytest.raises(ConfigError, match=r"^CODAT_HANDOVER names no file of `codat-iac apply`; unset it$"):
        handover.load(file, run.operations)
