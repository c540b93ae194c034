"""Who holds a lock, out of Pulumi's own words; `tests/engine/stack/test_apply.py` has the real ones."""

from __future__ import annotations

import pytest

from codat_iac.stack.engine.locks import Lock, advice, dead_holders, parse

WORDS = """\
error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete \
the lock file with `pulumi cancel`.
  file:///shop/state/.pulumi/locks/organization/shop/dev/b9c9ceab.json?no_tmp_dir=true: \
created by root@vm (pid 352) at 2026-11-24T14:13:40Z
"""

OURS = Lock("vm", 352, "2026-11-24T14:13:40Z")


@pytest.mark.parametrize(
    ("words", "locks"),
    [
        pytest.param(WORDS, (OURS,), id="Pulumi's words"),
        pytest.param(
            WORDS + WORDS.splitlines()[1].replace("root@vm (pid 352)", "CORP\\jo mo@x@ci-7.local (pid 1)"),
            (OURS, Lock("ci-7.local", 1, "2026-11-24T14:13:40Z")),
            id="two, and a user with a strange name",
        ),
        pytest.param("[409] Conflict: Another update is currently in progress.", (), id="Pulumi Cloud"),
        pytest.param("created by root@vm (pid many) at noon", (), id="no pid"),
        pytest.param(f"created by root@vm (pid {10**30}) at noon", (), id="no pid of any machine"),
        pytest.param("", (), id="nothing"),
    ],
)
def test_the_locks_are_read_out_of_the_words(words: str, locks: tuple[Lock, ...]) -> None:
    """Each with its machine and process; words that we don't understand name none."""
    assert parse(words) == locks


@pytest.mark.parametrize(
    ("locks", "living", "holders"),
    [
        pytest.param([OURS], set(), "pid 352", id="dead"),
        pytest.param([OURS], {352}, "", id="alive"),
        pytest.param([Lock("ci", 352, "")], set(), "", id="of another machine"),
        pytest.param([OURS, Lock("vm", 7, "")], set(), "pid 352 and pid 7", id="two, both dead"),
        pytest.param([OURS, Lock("vm", 7, "")], {7}, "", id="two, one alive"),
        pytest.param([OURS, Lock("ci", 7, "")], set(), "", id="two, one of another machine"),
        pytest.param([], set(), "", id="nobody is named"),
    ],
)
def test_only_the_dead_of_this_machine_are_named(locks: list[Lock], living: set[int], holders: str) -> None:
    """Of another machine nobody here knows, and one lock of a living run is enough."""
    assert dead_holders(locks, "vm", living.__contains__) == holders


def test_what_to_do_is_said() -> None:
    """The very command where the holder is dead, and to wait where it may live."""
    assert advice("pid 352", "dev") == (
        "the stack is locked; run `pulumi cancel --yes --stack dev` and try again, since pid 352 of this"
        " machine, which held it, is dead"
    )
    assert advice("", "dev") == (
        "the stack is locked by another run; wait for it, or `pulumi cancel` if it is dead"
    )
