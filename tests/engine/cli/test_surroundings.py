"""Every command, in surroundings that would break it: it does what it should, or says in one line why not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from codat_iac.emulator import Emulator, serving
from codat_iac.stack import engine
from tests.support.builders import a_desired, a_prior, connected
from tests.support.project import CODAT_IAC, Project, Ran, connections
from tests.support.surroundings import NOBODYS_CODAT_IAC, stopped_while_counting

pytestmark = pytest.mark.engine

DEAD = "http://127.0.0.1:9"
"""A proxy that refuses all connections."""

SHOP = "      shop: {platformKey: fztf}\n"

PER_MINUTE = 600


@dataclass(frozen=True)
class Surroundings:
    """What a command is started with."""

    env: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = CODAT_IAC
    folder: Path | None = None


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One emulated Codat for all."""
    with serving(api_key="c4nary-0f-an-api-key-that-is-n0where-else") as running:
        yield running


@pytest.fixture(scope="module")
def shared(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a recorded connection, whose desired state every apply changes."""
    company_id = str(emulator.add_company("Søhne & Кo")["id"])
    connection_id = connected(emulator, company_id, "gbol", "PendingAuth")
    project = Project(tmp_path_factory.mktemp("Prøject") / "Проект", emulator)
    project.declare(connections(company_id, "ledger: {platformKey: gbol}"))
    project.record([a_prior(connection_id, a_desired(company_id=company_id), "PendingAuth")])
    return project


@pytest.fixture
def fresh(emulator: Emulator, tmp_path: Path) -> Project:
    """A project with an empty stack, into which something is imported."""
    project = Project(tmp_path / "project", emulator)
    project.declare("companies: {}\n")
    return project


def run(project: Project, surroundings: Surroundings, *arguments: str) -> Ran:
    """Run `codat-iac` there; whatever becomes of it, it isn't called a bug."""
    ran = project.codat_iac(
        *arguments, env=surroundings.env, cwd=surroundings.folder, program=surroundings.program
    )
    assert "bug" not in ran.err
    assert "Traceback" not in ran.err
    return ran


def works(project: Project, surroundings: Surroundings, *arguments: str) -> Ran:
    """Run a command that does what it should."""
    ran = run(project, surroundings, *arguments)
    assert ran.code == 0, ran.err
    assert ran.said == []
    return ran


def is_refused(project: Project, surroundings: Surroundings, *arguments: str) -> str:
    """Run a command that can't work, and return its one line."""
    ran = run(project, surroundings, *arguments)
    assert (ran.code, ran.out) == (1, "")
    (line,) = ran.said
    return line


def applies(project: Project, surroundings: Surroundings) -> None:
    """Apply a change: a second connection comes, or goes again."""
    file = project.folder / "connections.yaml"
    text = file.read_text()
    file.write_text(text.removesuffix(SHOP) if SHOP in text else text + SHOP)

    works(project, surroundings, "apply", "--yes", "--stack", "dev")

    assert ("acme/shop" in project.recorded()) == (SHOP in file.read_text())


def imports(project: Project, surroundings: Surroundings) -> None:
    """Import a connection, and find it in the state."""
    company_id = str(project.emulator.add_company("Bücher")["id"])
    connected(project.emulator, company_id, "suuo", "Linked")

    works(project, surroundings, "import", "--company", company_id, "--overwrite", "--yes", "--stack", "dev")

    assert list(project.recorded()) == ["bucher/plaid"]


def problems(project: Project, surroundings: Surroundings) -> list[str]:
    """Return what the doctor calls a problem."""
    ran = run(project, surroundings, "doctor", "--stack", "dev")
    assert ran.said == []
    found = [line.removeprefix("problem").strip() for line in ran.out.splitlines() if line[:7] == "problem"]
    assert ran.code == int(bool(found))
    return found


# No home.


def test_a_user_without_a_home(shared: Project) -> None:
    """What needs no engine works, and each process counts its own requests; Pulumi needs a home."""
    found = str(engine.find())
    nobody = Surroundings({"CODAT_REQUESTS_PER_MINUTE": "600", "PULUMI_HOME": ""}, NOBODYS_CODAT_IAC)
    with_engine = Surroundings(
        {**nobody.env, "PATH": f"{Path(found).parent}{os.pathsep}{os.environ['PATH']}"}, NOBODYS_CODAT_IAC
    )

    works(shared, nobody, "plan", "--stateless", "connections.yaml")
    works(shared, nobody, "validate", "connections.yaml", "--online")
    works(shared, nobody, "export", "--all", "--stateless")
    works(shared, nobody, "emulator", "--help")
    assert is_refused(shared, nobody, "engine", "path").endswith("run: codat-iac engine install")
    assert "set HOME, or XDG_CACHE_HOME" in is_refused(shared, nobody, "engine", "install")
    assert works(shared, with_engine, "engine", "path").out == f"{found}\n"
    for command in (("plan",), ("apply", "--yes"), ("drift",), ("links",), ("import", "--all", "--yes")):
        assert "Pulumi needs one: set HOME or PULUMI_HOME" in is_refused(shared, with_engine, *command)
    assert "the stack's state" not in "".join(problems(shared, with_engine))
    assert problems(shared, nobody)[0].startswith("there is no cache: this user has no home folder")
    assert not list(shared.folder.glob("~*"))


def test_a_user_with_no_home_but_pulumis(shared: Project, tmp_path: Path) -> None:
    """That is enough, also for a run that asks who the user is."""
    path = f"{Path(str(engine.find())).parent}{os.pathsep}{os.environ['PATH']}"
    applies(shared, Surroundings({"PULUMI_HOME": str(tmp_path), "PATH": path}, NOBODYS_CODAT_IAC))


def test_a_cache_that_cant_be_written(shared: Project) -> None:
    """Each process counts by itself; an engine in it couldn't be found, so it is on PATH."""
    path = f"{Path(str(engine.find())).parent}{os.pathsep}{os.environ['PATH']}"
    surroundings = Surroundings({"XDG_CACHE_HOME": "/proc", "CODAT_REQUESTS_PER_MINUTE": "600", "PATH": path})

    works(shared, surroundings, "plan")
    assert problems(shared, surroundings) == []


# Locks.


@pytest.mark.slow
def test_a_process_that_was_stopped_while_it_counted(shared: Project, tmp_path: Path) -> None:
    """After some seconds that is said, and the command goes on."""
    path = f"{Path(str(engine.find())).parent}{os.pathsep}{os.environ['PATH']}"
    env = {"XDG_CACHE_HOME": str(tmp_path), "CODAT_REQUESTS_PER_MINUTE": str(PER_MINUTE), "PATH": path}
    with stopped_while_counting(tmp_path / "codat-iac", PER_MINUTE):
        ran = run(shared, Surroundings(env), "plan")

    assert ran.code == 0
    assert ran.out
    (line,) = ran.said
    assert "so this one counts by itself" in line


# Proxies.


def test_proxies_that_are_dead(shared: Project, fresh: Project) -> None:
    """Nothing on loopback goes through one: not the emulator, not the engine, not its programs."""
    names = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
    proxies = {name: DEAD for lower in names for name in (lower, lower.upper())}
    surroundings = Surroundings({**proxies, "no_proxy": "localhost", "no_grpc_proxy": ""})

    applies(shared, surroundings)
    imports(fresh, surroundings)
    (problem,) = problems(shared, surroundings)
    assert problem.endswith("export no_grpc_proxy=localhost,127.0.0.1,::1")


# The environment of others.


@pytest.mark.slow
def test_options_and_settings_of_pulumi(shared: Project, fresh: Project) -> None:
    """They are meant for the user's own `pulumi`."""
    options = {
        "CWD": "/nowhere",
        "EXCLUDE": "**",
        "EXPECT_NO_CHANGES": "true",
        "FILE": "/nowhere",
        "HELP": "true",
        "JSON": "true",
        "OUTPUT": "json",
        "REFRESH": "true",
        "SHOW_NAME": "false",
        "STACK": "nowhere",
        "TARGET": "urn:nowhere",
        "YES": "false",
    }
    others = {
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
        "PULUMI_PYTHON_CMD": "/nowhere/python",
        "PULUMI_RUNTIME_TOOLCHAIN": "poetry",
        "PULUMI_RUNTIME_VIRTUALENV": "/nowhere",
    }
    surroundings = Surroundings({**{f"PULUMI_OPTION_{n}": v for n, v in options.items()}, **others})

    applies(shared, surroundings)
    imports(fresh, surroundings)
    works(fresh, surroundings, "plan")


@pytest.mark.slow
def test_another_python_before_ours(shared: Project, fresh: Project, tmp_path: Path) -> None:
    """On PATH, as the active virtualenv, and named."""
    other = tmp_path / "bin" / "python"
    other.parent.mkdir()
    for name in ("python", "python3"):
        (other.parent / name).write_text("#!/bin/sh\necho not this one >&2\nexit 1\n")
        (other.parent / name).chmod(0o755)
    path = f"{other.parent}{os.pathsep}{os.environ['PATH']}"
    surroundings = Surroundings({"PATH": path, "PULUMI_PYTHON_CMD": str(other), "VIRTUAL_ENV": str(tmp_path)})

    applies(shared, surroundings)
    imports(fresh, surroundings)
    works(shared, surroundings, "engine", "path")
    assert problems(shared, surroundings) == []


@pytest.mark.slow
def test_a_locale_without_a_letter_of_a_name(shared: Project, fresh: Project) -> None:
    """And a Python that was told to believe it."""
    surroundings = Surroundings(
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    )

    applies(shared, surroundings)
    imports(fresh, surroundings)
    for command in (("validate",), ("plan",), ("plan", "-o", "json"), ("links", "-o", "html"), ("drift",)):
        works(shared, surroundings, *command)
    works(shared, surroundings, "export", "--all", "--stateless")
    assert problems(shared, surroundings) == []


# The project's folder.


def test_modules_with_the_names_of_pythons_own(fresh: Project) -> None:
    """They stand beside Pulumi.yaml, and no process of ours takes them for those."""
    company_id = fresh.emulator.add_company("Acme")["id"]
    for name in ("json", "logging", "random", "yaml"):
        (fresh.folder / f"{name}.py").write_text("raise ValueError('this is another one')\n")
    installed = Surroundings(program=(str(Path(sys.executable).parent / "codat-iac"),))
    surroundings = Surroundings()
    fresh.declare(connections(str(company_id)))
    file = fresh.folder / "connections.yaml"
    file.write_text(file.read_text() + SHOP)

    works(fresh, installed, "plan")
    works(fresh, surroundings, "apply", "--yes")
    works(fresh, Surroundings({"PYTHONSAFEPATH": "1"}), "--version")
    assert list(fresh.recorded()) == ["acme/shop"]
    (problem,) = problems(fresh, surroundings)
    assert problem.endswith("of its packages: json.py, logging.py, random.py, yaml.py; rename them")


def test_a_folder_full_of_links(fresh: Project, tmp_path: Path) -> None:
    """The project is reached by one, and its files are ones: each is read, and written, where it leads to."""
    real, folder = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "__main__.py", "connections.yaml"):
        (fresh.folder / name).rename(real / name)
        (fresh.folder / name).symlink_to(real / name)
    folder.symlink_to(fresh.folder)
    surroundings = Surroundings(folder=folder)

    imports(fresh, surroundings)
    works(fresh, surroundings, "plan", "--stack", "dev")
    assert "bucher" in (real / "connections.yaml").read_text()
    assert (fresh.folder / "connections.yaml").is_symlink()
