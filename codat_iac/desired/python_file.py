"""Read a desired-state file in Python: the data that its `desired()` returns."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from pathlib import Path
from types import ModuleType
from typing import Any

from codat_iac.desired.document import NOWHERE, Document, Mapping, Place, Trail, UnsupportedValue, short

_MODULE = "codat_iac_desired_file"
_LONGEST_TEXT = 300
_DEEPEST = 6
"""Levels of nesting that are copied: one more than the format has."""


def run_python(document: Document, path: str, raw: bytes) -> None:
    """Run the file and set the document's data to what its `desired()` returns; report any error.

    The file may import modules in its own folder. stdout is stderr from then on, since the file's threads and
    exit handlers may print later.
    """
    filename = str(Path(path).absolute())
    try:
        with _isolated_module(filename) as module:
            exec(compile(raw, filename, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - its purpose
            desired = module.__dict__.get("desired")
            if not callable(desired):
                document.report("has no desired() function; define one (helper files are named _*.py)")
                return
            document.data = _copied(document, desired(), ())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the user's code may raise anything, SystemExit too
        document.report(f"raised {_text(error)}; mend the code", _place(error, filename))


@contextlib.contextmanager
def _isolated_module(filename: str) -> Iterator[ModuleType]:
    """Yield a new module to run the file in, and restore `sys.path` and `sys.modules` afterwards."""
    module = ModuleType(_MODULE)
    module.__file__ = filename
    folder = str(Path(filename).parent)
    path, modules = sys.path[:], set(sys.modules)
    sys.modules[_MODULE] = module  # dataclasses look up their module
    sys.path.insert(0, folder)
    sys.stdout = sys.stderr
    try:
        yield module
    finally:
        sys.path[:] = path
        sys.modules.pop(_MODULE, None)
        for name in set(sys.modules) - modules:
            if name.partition(".")[0] not in modules and _lies_in(folder, sys.modules[name]):
                del sys.modules[name]


def _lies_in(folder: str, module: ModuleType) -> bool:
    file = getattr(module, "__file__", None) or ""
    return file.startswith(folder + os.sep) and not file.startswith(sys.prefix + os.sep)


def _copied(document: Document, value: Any, trail: Trail) -> Any:
    """Return *value* as plain data, whatever classes it is made of."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | float):
        return str.__str__(value) if isinstance(value, str) else float(value)
    if isinstance(value, int):
        return int(value) if value.bit_length() <= 64 else UnsupportedValue("a huge number")
    if isinstance(value, list | tuple):
        return UnsupportedValue("a list")
    if not isinstance(value, AnyMapping) or len(trail) == _DEEPEST:
        return UnsupportedValue(f"a Python value of type {short(type(value).__name__)}")
    copy = Mapping()
    for key, item in value.items():
        if isinstance(key, str):
            copy[str.__str__(key)] = _copied(document, item, (*trail, key))
        else:
            document.report(f"the key {short(repr(key))} is not text; put it in quotes", NOWHERE, trail)
            copy.incomplete = True
    return copy


def _text(error: BaseException) -> str:
    """Return the exception in one line."""
    if isinstance(error, SyntaxError):
        return short(f"SyntaxError: {error.msg}", _LONGEST_TEXT)
    text = "".join(traceback.format_exception_only(error))
    return short(" ".join(text.split()), _LONGEST_TEXT)


def _place(error: BaseException, filename: str) -> Place:
    """Return the innermost place of the error in the user's own file."""
    if isinstance(error, SyntaxError) and error.filename == filename:
        return error.lineno or 0, error.offset or 1
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    return (frames[-1].lineno or 0, (frames[-1].colno or 0) + 1) if frames else NOWHERE
