"""The project's Python: which one it is, what it has installed, and what it has not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict

from google.protobuf import json_format
from pulumi.runtime.proto import language_pb2, plugin_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PLUGINS = r"""
import importlib.util, json, pathlib, sys
sys.path = [folder for folder in sys.path if folder]
print(json.dumps({
    "sdk": importlib.util.find_spec("pulumi") is not None,
    "plugins": [json.loads(file.read_bytes()) for folder in sys.path
                for file in sorted(pathlib.Path(folder).glob("*/pulumi-plugin.json"))],
}))
"""
"""Prints the `Plugins` of the Python that runs it. Each run asks, so no package's metadata is read."""

INSPECT = r"""
import importlib.metadata, json, re, sys
sys.path = [folder for folder in sys.path if folder]
def normal(name):
    return re.sub("[-_.]+", "-", name).lower()
found, needed = {}, set()
for each in importlib.metadata.distributions():
    head = (each.read_text("METADATA") or each.read_text("PKG-INFO") or "").partition("\n\n")[0]
    fields = [line.partition(": ") for line in head.splitlines()]
    named = {key: value for key, _, value in fields}
    if not named.keys() >= {"Name", "Version"}:
        continue  # what an installation that was broken off left
    found[normal(named["Name"])] = named["Version"]
    needed |= {normal(re.match(r"[\w.-]+", value)[0]) for key, _, value in fields
               if key == "Requires-Dist" and "extra ==" not in value}
print(json.dumps({
    "executable": sys.executable,
    "version": ".".join(map(str, sys.version_info[:3])),
    "packages": dict(sorted(found.items())),
    "needed": sorted(needed),
}))
"""
"""Prints the `Facts` of the Python that runs it; whole descriptions aren't parsed, which takes longest."""


class Facts(TypedDict):
    """What a Python says of itself and its packages."""

    executable: str
    version: str
    packages: dict[str, str]
    needed: list[str]


class Plugins(TypedDict):
    """Whether a Python has the Pulumi SDK, and the plugins that its packages bring."""

    sdk: bool
    plugins: list[dict[str, object]]


class HostError(Exception):
    """The engine can't have what it asked for: one line for its user."""


def project_python(info: language_pb2.ProgramInfo) -> str:
    """Return the Python that the project's runtime options ask for."""
    options = json_format.MessageToDict(info.options)
    if (toolchain := options.get("toolchain", "pip")) != "pip":
        unsupported(f"the option `toolchain: {toolchain}`", "use `toolchain: pip` with a `virtualenv`")
    if typechecker := options.get("typechecker"):
        unsupported(f"the option `typechecker: {typechecker}`", "leave it out")
    folder = virtualenv(info)
    if folder is None:
        return ambient_python()
    python = folder / "bin" / "python"
    if not os.access(python, os.X_OK):
        raise HostError(
            f"Pulumi.yaml: the option `virtualenv: {options['virtualenv']}` leads to {folder}, which is no "
            "virtualenv: create it and install the requirements, for example with `pulumi install`"
        )
    return str(python)


def virtualenv(info: language_pb2.ProgramInfo) -> Path | None:
    """Return the folder of the option `virtualenv`, relative to that of Pulumi.yaml; None if it isn't set."""
    option = json_format.MessageToDict(info.options).get("virtualenv")
    return Path(info.root_directory, str(option)) if option else None


def ambient_python() -> str:
    """Return the Python of a project that names none, chosen as Pulumi's own language host does."""
    named = os.environ.get("PULUMI_PYTHON_CMD")
    names = [named] if named else ["python3", "python"]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise HostError(f"there is no {' or '.join(names)}: set the option `virtualenv` in Pulumi.yaml")
    return found


def unsupported(what: str, remedy: str) -> NoReturn:
    """Refuse what only Pulumi's own language host can."""
    raise HostError(
        f"the language host of codat-iac doesn't know {what}: {remedy}, "
        "or install Pulumi itself (pulumi.com/docs/install)"
    )


def facts_of(python: str) -> Facts:
    """Ask a Python for its facts."""
    facts: Facts = _ask(python, INSPECT)
    return facts


def plugins_of(python: str) -> Plugins:
    """Ask a Python for its plugins."""
    plugins: Plugins = _ask(python, PLUGINS)
    return plugins


def _ask(python: str, script: str) -> Any:
    try:
        answer = subprocess.run(  # noqa: S603 - the project's own
            [python, "-c", script], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise HostError(f"{python} doesn't work: {error.strerror}") from error
    if answer.returncode:
        said = answer.stderr.strip() or f"exit status {answer.returncode}"
        raise HostError(f"{python} doesn't work: {said.splitlines()[-1]}")
    return json.loads(answer.stdout)


def required(plugin: Mapping[str, object]) -> plugin_pb2.PackageDependency:
    """Return a package's pulumi-plugin.json, in the engine's terms."""
    renamed = {"extensionParameterization": "extension"}
    fields = {renamed.get(key, key): value for key, value in plugin.items()}
    result = plugin_pb2.PackageDependency()
    json_format.ParseDict({**fields, "kind": "resource"}, result, ignore_unknown_fields=True)
    return result


def install(info: language_pb2.ProgramInfo) -> Iterator[bytes]:
    """Create the virtualenv if it is missing, and install requirements.txt. Yields what to show."""
    folder = virtualenv(info)
    if folder and not (folder / "bin" / "python").exists():
        yield f"Creating {folder}\n".encode()
        yield from shown([ambient_python(), "-m", "venv", str(folder)], info.root_directory)
    if Path(info.program_directory, "requirements.txt").exists():
        command = [project_python(info), "-m", "pip", "install", "-r", "requirements.txt"]
        yield from shown(command, info.program_directory)


def shown(command: Sequence[str], folder: str) -> Iterator[bytes]:
    """Run a command in a folder. Yields its output, line by line."""
    with subprocess.Popen(  # noqa: S603 - the project's own Python
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        yield from process.stdout or ()
    if process.returncode:
        raise HostError(f"`{' '.join(command)}` failed with exit status {process.returncode}")
