"""A customer and its Codat connections, as one Pulumi component, and the table that lists them."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pulumi

from codat_iac import Connection


class Row(NamedTuple):
    """One connection of the table. The id is empty if another stack makes the company."""

    customer: str
    company_id: str
    connection: str
    platform_key: str
    keep: bool = False
    """Whether Pulumi refuses to remove or replace it: `protect`."""


_COLUMNS = ", ".join(Row._fields)


def read_table(path: Path) -> dict[str, list[Row]]:
    """Return the rows of a CSV file, or of the table `connections` of an SQLite database, by customer."""
    rows = _from_database(path) if path.suffix == ".db" else _from_csv(path)
    customers: dict[str, list[Row]] = {}
    for row in rows:
        customers.setdefault(row.customer, []).append(row)
    return customers


def _from_csv(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file)
        if table.fieldnames != list(Row._fields):
            raise pulumi.RunError(f"{path}: the columns have to be {_COLUMNS}")
        return [_row(list(each.values())) for each in table]


def _from_database(path: Path) -> list[Row]:
    """Any database does: what matters is an order that stays the same."""
    with closing(sqlite3.connect(path)) as database:
        found = database.execute(f"SELECT {_COLUMNS} FROM connections ORDER BY customer, connection")  # noqa: S608
        return [_row(each) for each in found]


def _row(values: Sequence[object]) -> Row:
    customer, company_id, connection, platform_key, keep = (str(value or "").strip() for value in values)
    return Row(customer, company_id, connection, platform_key, keep.lower() in {"yes", "true", "1"})


class Customer(pulumi.ComponentResource):
    """All connections of one customer, at the addresses `NAME/CONNECTION`.

    A component is only a parent: what is recorded without one, or under another, goes on by itself.
    """

    statuses: pulumi.Output[Mapping[str, str]]
    """The status that Codat reports, by connection."""

    def __init__(
        self,
        name: str,
        company_id: pulumi.Input[str],
        rows: Iterable[Row],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("customers:index:Customer", name, None, opts)
        statuses = {}
        for row in rows:
            connection = Connection(
                f"{name}/{row.connection}",
                company_id=company_id,
                platform_key=row.platform_key,
                opts=pulumi.ResourceOptions(parent=self, protect=row.keep),
            )
            statuses[row.connection] = connection.status
        self.statuses = pulumi.Output.all(**statuses)
        self.register_outputs({"statuses": self.statuses})
