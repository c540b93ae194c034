"""The engine's own time: resources of a dynamic provider without I/O, declared with the SDK's class."""

from __future__ import annotations

import os
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider


class NoWork(ResourceProvider):
    """Does nothing, and is pickled by reference as ours is."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Accept anything."""
        return CheckResult({name: value for name, value in news.items() if not name.startswith("__")}, [])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Find nothing to do."""
        return DiffResult(changes=False)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make nothing."""
        return CreateResult(f"id-of-{props['address']}", props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return what is recorded."""
        return ReadResult(id_, props)


class Nothing(Resource, module="bench", name="Nothing"):
    """A resource with the inputs of a connection."""


def main() -> None:
    """Declare `BENCH_N` resources."""
    for number in range(int(os.environ["BENCH_N"])):
        address = f"company-{number}/xero"
        inputs = {
            "address": address,
            "companyId": f"8a210b68-6988-11ed-a1eb-{number:012}",
            "platformKey": "gbol",
            "status": "Linked",
            "onRemoval": "unlink",
            "onExisting": "refuse",
        }
        Nothing(NoWork(), address, inputs)
    pulumi.export("declared", os.environ["BENCH_N"])
