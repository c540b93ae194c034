"""The standard streams of the process, whatever they were when it began: closed, full, without a reader.

stdout belongs to the result. `prepare` moves it to a descriptor that no other process gets, and makes
descriptor 1 another name of stderr: what a desired state in Python, its child processes or a library prints
never stands in a document. The result goes to `sys.__stdout__`, since `sys.stdout` may be stderr by then.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from codat_iac.model.errors import CodatIacError, ConfigError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


STDIN = "<stdin>"
"""The name of stdin in messages; as an argument it is `-`."""


class OutputLost(CodatIacError):
    """A result couldn't be written."""


class Descriptor(io.RawIOBase):
    """Writes all that it gets to a descriptor; after a failure, which *on_loss* gets, it drops the rest."""

    def __init__(self, descriptor: int, name: str, on_loss: Callable[[OSError], None]) -> None:
        self.name = name
        self.lost = False
        self._descriptor = descriptor
        self._on_loss = on_loss

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Return true."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of *data*."""
        rest = whole = memoryview(data)
        while rest and not self.lost:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody who has the same pipe made it so
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.lost = True
                self._on_loss(error)
        return len(whole)


def prepare() -> None:
    """Make the streams safe, and reserve stdout for the result.

    What can't be written to stderr is dropped. What can't be written to stdout raises `OutputLost`, unless
    its reader has left: that is the reader's business.
    """
    for descriptor, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # Else the next file that is opened would be it. With these flags, stdin and stdout go on failing.
            os.set_inheritable(os.open(os.devnull, flags), True)
    result = Descriptor(os.dup(1), "<stdout>", _raise_unless_unread)
    os.dup2(2, 1)
    # Python has None for a stream that was closed.
    encoding = sys.stdout.encoding if sys.stdout else "utf-8"
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    # A character that a terminal lacks is no error.
    sys.stdout = io.TextIOWrapper(result, encoding, "replace", line_buffering=True)
    sys.__stdout__ = sys.stdout  # type: ignore[misc]
    errors = Descriptor(2, "<stderr>", lambda _: None)
    sys.stderr = io.TextIOWrapper(errors, encoding, "backslashreplace", line_buffering=True)


def tell(text: str) -> None:
    """Say each line of *text* on stderr, with our name before it and no full stop behind it."""
    for line in text.splitlines():
        click.echo(f"codat-iac: {line.rstrip('.')}", err=True)


def read_stdin(most: int) -> bytes:
    """Return what comes on stdin, cut after *most* bytes. Raises `ConfigError`."""
    try:
        return sys.stdin.buffer.read(most)
    except OSError as error:
        reason = _reason(error)
        raise ConfigError(f"{STDIN}: can't be read ({reason}); pipe a file into it") from error


def is_heard() -> bool:
    """Return whether somebody may see what goes to stderr, such as a question."""
    stream = sys.stderr.buffer
    lost = isinstance(stream, Descriptor) and stream.lost
    return not lost and not os.path.samestat(os.fstat(2), os.stat(os.devnull))  # noqa: PTH116


def _raise_unless_unread(error: OSError) -> None:
    if error.errno != errno.EPIPE:
        raise OutputLost(f"stdout can't be written ({_reason(error)}); send the result somewhere else")


def _reason(error: OSError) -> str | None:
    return "it is closed" if error.errno == errno.EBADF else error.strerror
