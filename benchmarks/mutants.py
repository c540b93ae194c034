"""Mutation testing of the core: for each small change of the deciding modules some test should fail.

    make mutants
    make mutants N=2    # two at a time

mutmut makes the mutants of functions and runs the tests that reach them. It leaves out module-level code,
such as the rule table, and decorated functions: their mutants are made here, each tested in a process of its
own. Two operators are added to mutmut's: negate a condition, and replace a member of an enum by the next one.
A mutant whose tests never end counts as killed.

Prints the score of each module, and fails if one is below 95 %. `docs/mutants.md` lists the accepted
survivors, each with its reason. Other survivors are printed in the form in which they would be added to it.
"""

from __future__ import annotations

import ast
import multiprocessing
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast

import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper
from mutmut.__main__ import cli
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import MutationVisitor, deep_replace
from mutmut.mutation.mutators import mutation_operators, operator_assignment, operator_string
from mutmut.mutation.pragma_handling import IgnoredCode
from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).parent.parent
WORK = ROOT / "build" / "mutants"
ACCEPTED = ROOT / "docs" / "mutants.md"
COPIED = ("codat_iac", "tests", "schemas", "pyproject.toml")

FORK = multiprocessing.get_context("fork")

OUTSIDE = "(outside of functions)"

MINIMUM_SCORE = 95.0
"""Per cent of each module's mutants that must be killed."""

PATIENCE = 10
"""How many times as long as without a mutant its tests may take, before they count as never ending."""


@dataclass(frozen=True)
class Mutant:
    """One mutant: its place, the changed lines, and whether a test failed."""

    module: str
    place: str
    removed: tuple[str, ...]
    added: tuple[str, ...]
    killed: bool

    @property
    def text(self) -> str:
        """The mutant in the form of the list of accepted ones."""
        lines = [f"- {line}" for line in self.removed] + [f"+ {line}" for line in self.added]
        return "\n".join([f"{self.module}: {self.place}", *lines])


def next_members() -> dict[tuple[str, str], str]:
    """Return the next member for each member of each enum in the package, by names of enum and member."""
    following: dict[tuple[str, str], str] = {}
    for file in (ROOT / "codat_iac").rglob("*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and "StrEnum" in [ast.unparse(base) for base in node.bases]:
                names = [ast.unparse(each.targets[0]) for each in node.body if isinstance(each, ast.Assign)]
                following |= {(node.name, name): after for name, after in pairwise([*names, names[0]])}
    return following


NEXT = next_members()


def another_member(node: cst.Attribute) -> Iterator[cst.Attribute]:
    """Replace `Action.UNLINK` by `Action.REPLACE`."""
    if isinstance(node.value, cst.Name) and (node.value.value, node.attr.value) in NEXT:
        yield node.with_changes(attr=cst.Name(NEXT[node.value.value, node.attr.value]))


def negated_condition(node: cst.If | cst.IfExp) -> Iterator[cst.If | cst.IfExp]:
    """Replace `if it:` by `if not (it):`."""
    inner = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), inner))


def another_string(node: cst.BaseString) -> Iterator[cst.BaseString]:
    """Change a string only once, since each of these mutants needs a process: mutmut makes three changes."""
    yield from islice(operator_string(node), 1)


def another_cell(node: cst.DictElement) -> Iterator[cst.DictElement]:
    """Replace a named cell of a table by another one."""
    if isinstance(node.value, cst.Name):
        yield node.with_changes(value=cst.Name("_FORGET" if node.value.value == "_KEEP" else "_KEEP"))


Operator = tuple[type, Callable[[Any], Iterable[cst.CSTNode]]]

EVERYWHERE: tuple[Operator, ...] = (
    (cst.Attribute, another_member),
    (cst.If, negated_condition),
    (cst.IfExp, negated_condition),
)


def module_level_operators() -> list[Operator]:
    """Return the operators for module-level code, which don't replace a whole constant by None."""
    left_out = [(cst.BaseString, operator_string), (cst.Assign, operator_assignment)]
    kept = [each for each in mutation_operators if each not in left_out]
    return [*kept, (cst.BaseString, another_string), (cst.DictElement, another_cell)]


class ModuleLevelVisitor(MutationVisitor):
    """Makes mutants of the code that mutmut leaves out: module-level code and decorated functions."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef):
            return not node.decorators
        return super()._skip_node_and_children(node)


def copy_tree(name: str) -> Path:
    """Copy the files that the tests need, so that the working tree isn't mutated. Returns the folder."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for each in COPIED:
        if (ROOT / each).is_dir():
            shutil.copytree(ROOT / each, folder / each, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / each, folder / each)
    return folder


def function_mutants(workers: int) -> Iterator[Mutant]:
    """Let mutmut make and test the mutants of functions."""
    cast("list[Operator]", mutation_operators).extend(EVERYWHERE)
    cli(["run", "--max-children", str(workers)], standalone_mode=False)
    for module in config().only_mutate:
        data = SourceFileMutationData(path=module)
        data.load()
        for name, code in data.exit_code_by_key.items():
            mangled = name.rpartition(".")[2].rpartition("__mutmut_")[0]
            diff = get_diff_for_mutant(name, path=module).splitlines()
            yield Mutant(
                idea(Path(module)),
                mangled.removeprefix("x_").removeprefix("xǁ").replace("ǁ", "."),
                tuple(line[1:].strip() for line in diff if line.startswith("-") and line[:3] != "---"),
                tuple(line[1:].strip() for line in diff if line.startswith("+") and line[:3] != "+++"),
                status_by_exit_code[code] in {"killed", "timeout"},
            )


def idea(module: Path) -> str:
    """Return what a module is called: a package's first module is called as the package."""
    return module.parent.name if module.stem == "__init__" else module.stem


def module_level_mutants(workers: int) -> Iterator[Mutant]:
    """Make and test the mutants of module-level code and decorated functions."""
    started = time.monotonic()
    assert run_tests(copy_tree("rest"), ""), (
        "the tests must pass without a mutant, else all seem to be killed"
    )
    limit = PATIENCE * (time.monotonic() - started)
    folders = SimpleQueue[Path]()
    for number in range(workers):
        folders.put(copy_tree(f"rest-{number}"))

    def attempt(job: tuple[str, str, str]) -> Mutant:
        module, source, mutated = job
        folder = folders.get()
        file = folder / module
        for compiled in file.parent.glob(f"__pycache__/{file.stem}.*"):
            compiled.unlink()  # Python would use it for the next mutant too, if size and second are the same
        file.write_text(mutated)
        killed = not run_tests(folder, idea(file), limit)
        file.write_text(source)
        folders.put(folder)
        mutant = Mutant(idea(file), OUTSIDE, *_difference(source, mutated), killed)
        print("." if killed else f"\n{mutant.text}\n", end="", flush=True)
        return mutant

    with ThreadPoolExecutor(workers) as threads:
        yield from threads.map(attempt, module_level_mutations())


def module_level_mutations() -> Iterator[tuple[str, str, str]]:
    """Yield these mutants: the module's path, its source, and its source with one change."""
    for module in config().only_mutate:
        source = (ROOT / module).read_text()
        wrapper = MetadataWrapper(cst.parse_module(source))
        visitor = ModuleLevelVisitor(module_level_operators(), IgnoredCode(set(), set(), set()))
        wrapper.visit(visitor)
        for mutation in visitor.mutations:
            mutated = deep_replace(wrapper.module, mutation.original_node, mutation.mutated_node)
            assert isinstance(mutated, cst.Module)
            yield module, source, mutated.code


def _difference(source: str, mutated: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    before, after = source.splitlines(), mutated.splitlines()
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    return tuple(line.strip() for line in before), tuple(line.strip() for line in after)


def run_tests(folder: Path, module: str, limit: float | None = None) -> bool:
    """Run the tests in a process of their own, those of *module* first; return whether all pass.

    If they take longer than *limit* seconds, they don't.
    """
    child = FORK.Process(target=_child, args=(folder, module))
    child.start()
    child.join(limit)
    child.kill()
    child.join()
    return child.exitcode == 0


def _child(folder: Path, module: str) -> None:
    """Run the tests after a new import of the modules that may be mutated; the others stay loaded."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] in {"codat_iac", "tests"}]:
        del sys.modules[name]
    files = config().pytest_add_cli_args_test_selection
    own = [file for file in files if file.endswith(f"/test_{module}.py")]
    failed = 0
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        for chosen in (own, [file for file in files if file not in own]):
            if chosen and not failed:
                failed = pytest.main(["-x", "-q", "--rootdir=.", *config().pytest_add_cli_args, *chosen])
        os._exit(failed)


def report(mutants: Sequence[Mutant]) -> bool:
    """Print the scores and the survivors that aren't accepted; return whether all scores are high enough."""
    accepted = ACCEPTED.read_text()
    survivors = [mutant for mutant in mutants if not mutant.killed]
    for mutant in survivors:
        if mutant.text not in accepted:
            print(f"\nnot in {ACCEPTED.relative_to(ROOT)}:\n{mutant.text}")
    made = Counter(mutant.module for mutant in mutants)
    killed = Counter(mutant.module for mutant in mutants if mutant.killed)
    print(f"\n{len(mutants)} mutants, {len(survivors)} of them survive")
    for module, number in made.items():
        print(f"{module:18}{killed[module]:5} of {number:4} killed: {100 * killed[module] / number:5.1f} %")
    return all(100 * killed[module] / number >= MINIMUM_SCORE for module, number in made.items())


def main() -> None:
    """Make the mutants, test them and report."""
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    os.chdir(copy_tree("functions"))
    sys.exit(not report([*function_mutants(workers), *module_level_mutants(workers)]))


if __name__ == "__main__":
    main()
