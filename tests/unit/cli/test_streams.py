"""The standard streams: a closed one, a full one, one without a reader."""

from __future__ import annotations

import ast
import os
import pty
import signal
import threading
import time

import pytest

from codat_iac.cli.streams import Descriptor
from tests.support import ROOT
from tests.support.streams import HOSTILE, Ended, Streams, run_with


def prepared(source: str, streams: Streams | str = "", stdin: bytes | int = b"") -> Ended:
    """Run *source* with these streams, after `prepare`."""
    start = "import os, subprocess, sys\nfrom codat_iac.cli import streams\nstreams.prepare()\n"
    return run_with(streams, program=("-c", start + source), stdin=stdin)


def test_all_is_written_to_a_pipe_that_does_not_block() -> None:
    """Somebody else who has it may have made it so, and a pipe holds less than a plan."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    read = bytearray()

    def read_slowly() -> None:
        while part := os.read(reader, 100_000):
            read.extend(part)
            time.sleep(0.01)  # so that the pipe is full again before the next part

    thread = threading.Thread(target=read_slowly)
    thread.start()
    written = Descriptor(writer, "<pipe>", lambda _: None).write(b"x" * 1_000_000)
    os.close(writer)
    thread.join()
    os.close(reader)

    assert written == len(read) == 1_000_000


def test_a_failure_is_told_once() -> None:
    """And the rest is dropped, so that nothing fails again at the end."""
    failures: list[str | None] = []
    descriptor = os.open("/dev/full", os.O_WRONLY)
    stream = Descriptor(descriptor, "<full>", lambda error: failures.append(error.strerror))

    assert [stream.write(b"lost"), stream.write(b"lost too")] == [4, 8]

    assert failures == ["No space left on device"]
    assert (stream.fileno(), stream.isatty(), stream.writable()) == (descriptor, False, True)
    os.close(descriptor)


@pytest.mark.parametrize("streams", HOSTILE, ids=str)
def test_no_file_takes_the_place_of_a_stream(streams: Streams) -> None:
    """Else what is printed would be written into it."""
    ran = prepared("sys.exit(os.open('.', os.O_RDONLY) < 3 or None in (sys.stdin, sys.stdout))", streams)

    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_only_one_function_writes_to_stdout() -> None:
    """It knows what to do if that fails; ruff sees to `print`."""
    callers = {
        file.name
        for file in (ROOT / "codat_iac").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "click.echo"
        if "err" not in {keyword.arg for keyword in node.keywords}
    }

    assert callers == {"output.py"}


def test_stdout_belongs_to_the_result() -> None:
    """What else is printed, by anybody, goes to stderr."""
    ran = prepared(
        "sys.stdout = sys.stderr\n"
        "print('the result', file=sys.__stdout__)\n"
        "print('a module')\n"
        "os.write(1, b'a library\\n')\n"
        "subprocess.run(['echo', 'a child'])\n"
    )

    assert (ran.code, ran.out) == (0, "the result\n")
    assert ran.err == "a module\na library\na child\n"


def test_a_child_that_lives_on_keeps_nobody_waiting() -> None:
    """It has no descriptor of the pipe that the result goes to."""
    ran = prepared("print(subprocess.Popen(['sleep', '1000']).pid)", "2>/dev/null")

    os.kill(int(ran.out), signal.SIGKILL)


@pytest.mark.parametrize("streams", HOSTILE, ids=str)
def test_a_stream_that_fails_is_one_line_at_most(streams: Streams) -> None:
    """A result that is lost is an error, unless nobody wants it any more; what stderr loses never is."""
    ran = prepared(
        "try:\n"
        "    print('result', flush=True)\n"
        "except streams.OutputLost as error:\n"
        "    streams.tell(f'{error}.\\nThe end')\n"
        "    sys.exit(1)\n"
        "finally:\n"
        "    print('more')\n",
        streams,
    )

    assert ran.code == (1 if streams.lost else 0)
    assert ran.out == ("" if streams.lost or streams.unread else "result\nmore\n")
    reason = "it is closed" if streams.redirections == ">&-" else "No space left on device"
    lost = (
        f"codat-iac: stdout can't be written ({reason}); send the result somewhere else\ncodat-iac: The end\n"
    )
    assert ran.err == (lost if streams.lost and not streams.deaf else "")


@pytest.mark.parametrize(
    ("streams", "stdin", "result"),
    [
        pytest.param("", b"abcdef", "b'abcd'", id="text"),
        pytest.param("</dev/zero", b"", f"{bytes(4)!r}", id="no end"),
        pytest.param("</dev/null", b"", "b''", id="nothing"),
        pytest.param("<&-", b"", "<stdin>: can't be read (it is closed); pipe a file into it", id="closed"),
    ],
)
def test_stdin_is_read_up_to_a_limit(streams: str, stdin: bytes, result: str) -> None:
    """What can't be read is an error that says so."""
    ran = prepared(
        "from codat_iac.model.errors import ConfigError\n"
        "try:\n"
        "    print(streams.read_stdin(4))\n"
        "except ConfigError as error:\n"
        "    print(error)\n",
        streams,
        stdin,
    )

    assert (ran.code, ran.out) == (0, f"{result}\n")


@pytest.mark.parametrize(
    ("streams", "heard"),
    [("", True), ("2>&-", False), ("2>/dev/null", False), ("2>/dev/full", False), ("2>&GONE", False)],
)
def test_a_question_that_nobody_sees_is_not_asked(streams: str, heard: bool) -> None:
    """It would wait for its answer for ever, although there is a terminal to give it on."""
    leader, follower = pty.openpty()
    os.write(leader, b"y\n")
    ran = prepared(
        "from codat_iac.cli.output import ask\n"
        "from codat_iac.model.errors import ConfigError\n"
        "streams.tell('the plan')\n"
        "try:\n"
        "    ask('Go?')\n"
        "except ConfigError as error:\n"
        "    print(error)\n",
        streams,
        follower,
    )
    os.close(follower)
    os.close(leader)

    assert ran.out == ("" if heard else "nobody can be asked here; pass --yes if you mean it\n")
    assert ran.err == ("codat-iac: the plan\nGo? [y/N]: " if heard else "")
