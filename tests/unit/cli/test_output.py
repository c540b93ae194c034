"""Where a result goes: stdout, a file, or nowhere."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from codat_iac.cli import run
from codat_iac.cli.output import write_or_tell, write_output
from codat_iac.cli.streams import OutputLost

FILE = "version: 1\ncompanies: {}\n"


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a desired state."""
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(FILE)


@pytest.mark.parametrize("out", ["-", "/dev/stdout", "/dev/fd/1"])
def test_stdout_has_names(capfd: pytest.CaptureFixture[str], out: str) -> None:
    """Each does what no --out does."""
    assert run(["validate", "c.yaml", "--out", out]) == 0

    assert capfd.readouterr() == ("c.yaml: 0 connections of 0 companies: nothing is wrong.\n", "")


@pytest.mark.parametrize("out", ["new", "c.yaml"])
def test_a_file_is_written_and_named(capfd: pytest.CaptureFixture[str], out: str) -> None:
    """On stderr, since stdout is for the result alone."""
    assert run(["validate", "c.yaml", "--out", out]) == 0

    assert capfd.readouterr() == ("", f"written to {out}\n")
    assert Path(out).read_text() == "c.yaml: 0 connections of 0 companies: nothing is wrong.\n"


@pytest.mark.parametrize(
    ("out", "reason"), [(".", "it is a folder"), ("no/new", "{}/no is no folder to write in")]
)
def test_what_can_not_be_written_is_known_before(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, out: str, reason: str
) -> None:
    """The file isn't even looked for."""
    assert run(["validate", "nowhere.yaml", "--out", out]) == 1

    reason = reason.format(tmp_path)
    assert capfd.readouterr().err == f"codat-iac: {out} can't be written ({reason}); choose another --out\n"


def test_work_that_is_done_stays_done(capfd: pytest.CaptureFixture[str]) -> None:
    """A result that can't be written is an error for who only reads, and a line for who has worked."""
    with pytest.raises(OutputLost, match="No space left on device"):
        write_output("result", Path("/dev/full"))
    write_or_tell("result", Path("/dev/full"))

    said = "codat-iac: /dev/full can't be written (No space left on device); choose another --out\n"
    assert capfd.readouterr() == ("", said)


def test_problems_that_can_not_be_written_are_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """Not a second one, for the document of that error."""
    Path("c.yaml").write_text("version: 2\n")

    assert run(["validate", "c.yaml", "-o", "json", "--out", "/dev/full"]) == 1

    said = "codat-iac: /dev/full can't be written (No space left on device); choose another --out\n"
    assert capfd.readouterr() == ("", said)


@pytest.mark.parametrize(("text", "code"), [(FILE, 0), ("version: 2\n", 1)])
def test_a_dash_is_stdin(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, code: int
) -> None:
    """It has a name in messages."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    assert run(["validate", "-"]) == code

    assert capfd.readouterr().out.startswith("<stdin>")
