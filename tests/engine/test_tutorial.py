"""The tutorial, typed word by word in an empty folder."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from codat_iac.stack import engine
from tests.support import ROOT
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.engine, pytest.mark.slow]

TUTORIAL = ROOT / "docs/tutorial.md"

PORT = "8089"


def free_port() -> str:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def script() -> str:
    """All commands of the tutorial; between them, what it asks its reader to type into the file."""
    text = TUTORIAL.read_text(encoding="utf-8")
    lines = []
    for kind, block in re.findall(r"```(console|yaml)\n(.*?)```", text, re.DOTALL):
        if kind == "console":
            lines += [line.removeprefix("$ ") for line in block.splitlines()]
        else:
            (added,) = block.splitlines()
            new = added.partition(" #")[0]
            lines.append(f"sed -i '0,/    connections:/s//    connections:\\n{new}/' connections.yaml")
    # The emulator in the background is ready when it has printed its URL.
    ready = "until grep -q http emulator.log; do sleep 0.1; done"
    typed = "\n".join(lines).replace(PORT, free_port())
    return re.sub(r"^(codat-iac emulator .*) &$", rf"\1 > emulator.log &\n{ready}", typed, flags=re.MULTILINE)


def test_the_tutorial_can_be_typed_as_it_stands(tmp_path: Path) -> None:
    """Its one change is made, and nothing is left to do after it but what only customers can."""
    folder, wheels = tmp_path / "tutorial", tmp_path / "wheels"
    folder.mkdir()
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=folder, check=True)
    (packages,) = (folder / ".venv/lib").glob("python*/site-packages")
    here = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "borrowed.pth").write_text(f"{here}\n")  # what codat-iac depends on
    found = engine.find()
    assert found is not None
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("CODAT_", "PULUMI_"))},
        "PATH": f"{found.parent}:{os.environ['PATH']}",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_IGNORE_INSTALLED": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
    }
    with subprocess.Popen(
        ["bash", "-e", "-c", script()],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as reader:
        try:
            reader.wait(PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(reader.pid, signal.SIGKILL)  # the emulator, which it left in the background
        assert reader.stdout is not None
        shown = reader.stdout.read()

    assert reader.returncode == 0, shown
    assert "Applied: 1 of 1 change." in shown
    assert shown.count("No changes") >= 2
    declared = yaml.safe_load((folder / "connections.yaml").read_text())
    assert "store" in next(iter(declared["companies"].values()))["connections"]
