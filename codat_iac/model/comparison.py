"""Find the paths at which two structures differ. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def differing_paths(before: Any, after: Any) -> list[tuple[Any, ...]]:
    """Return the paths (keys and indices) of what is different or exists only once; sorted.

    1, 1.0 and True are equal, as they are in Python.
    """
    if before == after:
        return []
    from deepdiff import DeepDiff  # noqa: PLC0415  slow to import, and hardly ever needed

    found = DeepDiff(
        before, after, view="tree", threshold_to_diff_deeper=0, custom_operators=[_PassOverEqual()]
    )
    return sorted(tuple(level.path(output_format="list")) for levels in found.values() for level in levels)


def dotted(path: Iterable[str | int]) -> str:
    """Return a path in its usual form: `changes[0].status`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


class _PassOverEqual:
    """Keeps DeepDiff from walking through equal structures, such as 10,000 equal items."""

    def match(self, level: Any) -> bool:
        return bool(level.t1 == level.t2)

    def give_up_diffing(self, **_: object) -> bool:
        return True
