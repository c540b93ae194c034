"""What is said of an error that no command foresaw."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.cli import _unforeseen, run


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("x"), "a bug, please report it with the output of --debug: KeyError: 'x'"),
        (OSError("odd"), "a bug, please report it with the output of --debug: OSError: odd"),
        (OSError(28, "No space left", "/x"), "/x: No space left; see to that, and run again"),
        (
            OSError(12, "Cannot allocate memory"),
            "the system: Cannot allocate memory; see to that, and run again",
        ),
    ],
)
def test_what_the_system_refuses_is_no_bug(error: Exception, said: str) -> None:
    """It is told with its place, if it has one."""
    assert _unforeseen(error) == said


def test_a_folder_that_is_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell may still stand in it."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()

    assert run(["plan"]) == 1
    said = "codat-iac: the current folder: No such file or directory; see to that, and run again\n"
    assert capsys.readouterr().err == said
