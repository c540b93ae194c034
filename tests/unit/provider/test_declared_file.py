"""The hooks in a preview that only asks what a program declares: they write it down, and do nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.runtime import rpc

from codat_iac import provider
from codat_iac.model.errors import ConfigError
from codat_iac.planning.slot_description import INPUT, SlotDescription
from codat_iac.provider import ConnectionProvider, declared_file
from codat_iac.provider.engine_link import Engine
from codat_iac.provider.notice_filter import Notices
from tests.support.builders import COMPANY
from tests.support.worlds import a_urn

DESCRIPTION = SlotDescription(1, 0, ids=()).to_json()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that such a preview names."""
    named = tmp_path / "declared.json"
    monkeypatch.setenv(declared_file.VARIABLE, str(named))
    return named


def inputs(**more: Any) -> dict[str, Any]:
    """What the engine asks to check."""
    bag = {"__provider": "gASV...", "address": "acme/a", "companyId": COMPANY, "platformKey": "gbol"}
    return {**bag, "status": "Linked", INPUT: DESCRIPTION, **more}


def check(news: dict[str, Any], urn: str = a_urn("acme/a")) -> Any:
    """Ask the hook, as Pulumi's host does, which has the URN in its request."""
    request = SimpleNamespace(urn=urn)  # noqa: F841  the hook looks for it here
    return ConnectionProvider().check({}, news)


def test_what_is_declared_is_written_down_and_returned_as_it_is(file: Path) -> None:
    """The last word counts, as the engine checks a replacement twice."""
    declared = inputs()

    checked = check(declared)
    check({**declared, "status": "Unlinked"})
    check({**declared, "address": "acme/b"}, a_urn("acme/b", "shop:index:Customer"))

    ours = {name: value for name, value in declared.items() if name != "__provider"}
    assert declared_file.read(file.read_text()) == {
        a_urn("acme/a"): {**ours, "status": "Unlinked"},
        a_urn("acme/b", "shop:index:Customer"): {**ours, "address": "acme/b"},
    }
    assert checked.inputs == {name: value for name, value in declared.items() if name != INPUT}
    assert checked.failures == []


def test_what_a_preview_doesnt_know_is_none(file: Path) -> None:
    """With what hangs on it."""
    check(inputs(companyId=rpc.UNKNOWN, **{INPUT: rpc.UNKNOWN}))

    (bag,) = declared_file.read(file.read_text()).values()
    assert (bag["companyId"], bag["platformKey"], bag[INPUT]) == (None, "gbol", None)


def test_what_is_wrong_is_refused_all_the_same(file: Path) -> None:
    """The program can't be planned, and the engine says why."""
    checked = check(inputs(platformKey="xero-au"))

    assert [failure.property for failure in checked.failures] == ["platformKey"]
    assert not file.exists()


@pytest.mark.usefixtures("file")
def test_nothing_is_compared() -> None:
    """What differs is found out by whom the file is for."""
    assert ConnectionProvider().diff("an id", {"address": "acme/a"}, inputs()).changes is False


@pytest.mark.usefixtures("file")
def test_every_other_hook_refuses() -> None:
    """Somebody who sets the variable for an update is told, and there is nothing that could call Codat."""
    request: Any = SimpleNamespace(config={})
    engine = Engine("127.0.0.1:1")

    with pytest.raises(ConfigError, match=r"only asks what is declared \(CODAT_DECLARED\); nothing is done"):
        provider._operations(request, engine, Notices(engine.warn, engine.warn))


def test_in_every_other_run_there_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider works as ever."""
    monkeypatch.delenv(declared_file.VARIABLE, raising=False)

    assert declared_file.path() is None
