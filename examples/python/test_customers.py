"""Tests of the program without Pulumi, Codat or a stack: Pulumi's mocks stand in for the engine.

Run: pytest
"""

from __future__ import annotations

import runpy
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from customers import Customer, Row, read_table
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, set_all_config, set_mocks

HERE = Path(__file__).parent

ALDER = "e3e70682-c209-4cac-a29f-6fbed82c07cd"
BIRCH = "5b7b1d0c-98a1-4d43-9a1c-9c3b6e0d2a11"

LEDGER = Row("birch", "", "ledger", "gbol")


class Codat(Mocks):
    """Answers for the engine, and keeps what was declared by name."""

    def __init__(self) -> None:
        self.declared: dict[str, dict[str, Any]] = {}

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Return the id and the outputs of a resource, as Codat would answer."""
        self.declared[args.name] = args.inputs
        if args.typ == "pulumi:pulumi:StackReference":
            return args.name, {**args.inputs, "outputs": {"companyIds": {"birch": BIRCH}}}
        return "an id", {**args.inputs, "status": "PendingAuth"}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], None]:  # noqa: ARG002  of every call
        """Return that nothing is recorded, which is what `Connection` asks the engine for."""
        return {}, None


@pytest.fixture(autouse=True)
def codat() -> Codat:
    """Set an engine for each test: a program declares an address once."""
    mocks = Codat()
    set_mocks(mocks, project="customers", stack="test")
    return mocks


def declare(program: Callable[[], object]) -> None:
    """Run a program until all that it declared is known."""
    test: Any = pulumi.runtime.test
    test(program)()


def test_a_customer_declares_its_connections(codat: Codat) -> None:
    """At the customer's addresses, with the company of the customer."""

    def program() -> pulumi.Output[None]:
        customer = Customer("birch", BIRCH, [LEDGER, Row("birch", "", "bank", "suuo", keep=True)])

        def check(statuses: Any) -> None:
            assert statuses == {"ledger": "PendingAuth", "bank": "PendingAuth"}

        return customer.statuses.apply(check)

    declare(program)
    ledger = codat.declared["birch/ledger"]
    assert (ledger["companyId"], ledger["platformKey"], ledger["onRemoval"]) == (BIRCH, "gbol", "unlink")
    assert "birch/bank" in codat.declared


@pytest.mark.parametrize("text", ["birch,,ledger,gbol,\n", " birch, , ledger ,gbol, no\n"])
def test_a_table_may_be_a_file(tmp_path: Path, text: str) -> None:
    """With a line for each connection; white space is nothing."""
    file = tmp_path / "customers.csv"
    file.write_text("customer,company_id,connection,platform_key,keep\n" + text)

    assert read_table(file) == {"birch": [LEDGER]}


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    """A column that is missing is no customer without connections."""
    file = tmp_path / "customers.csv"
    file.write_text("customer,platform_key\nbirch,gbol\n")

    with pytest.raises(pulumi.RunError, match="the columns have to be customer, company_id"):
        read_table(file)


def test_a_table_may_be_in_a_database(tmp_path: Path) -> None:
    """The order is by name, whatever the database's."""
    file = tmp_path / "customers.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE connections (customer, company_id, connection, platform_key, keep)")
        rows = [("birch", None, "ledger", "gbol", 0), ("alder", ALDER, "shop", "fztf", 1)]
        database.executemany("INSERT INTO connections VALUES (?, ?, ?, ?, ?)", rows)
    database.close()

    table = read_table(file)

    assert list(table) == ["alder", "birch"]
    assert table == {"alder": [Row("alder", ALDER, "shop", "fztf", keep=True)], "birch": [LEDGER]}


def run(**config: str) -> None:
    """Run the whole program with a config."""
    set_all_config({f"customers:{name}": value for name, value in config.items()})

    def program() -> None:
        runpy.run_path(str(HERE / "__main__.py"))

    declare(program)


def test_the_program_declares_the_whole_table(codat: Codat) -> None:
    """The one that lies beside it."""
    run(table=str(HERE / "customers.csv"))

    addresses = {name for name in codat.declared if "/" in name}
    assert addresses == {"alder/ledger", "alder/shop", "maple/bank"}
    assert codat.declared["alder/shop"]["companyId"] == ALDER


def test_a_company_may_come_from_another_stack(codat: Codat, tmp_path: Path) -> None:
    """Which has made it."""
    file = tmp_path / "customers.csv"
    file.write_text("customer,company_id,connection,platform_key,keep\nbirch,,ledger,gbol,\n")

    with pytest.raises(pulumi.RunError, match="birch has no company_id, and `companiesFrom` names no stack"):
        run(table=str(file))
    run(table=str(file), companiesFrom="acme/onboarding/live")

    assert codat.declared["birch/ledger"]["companyId"] == BIRCH


def test_one_customer_is_one_company(tmp_path: Path) -> None:
    """Two ids are a mistake in the table."""
    file = tmp_path / "customers.csv"
    rows = f"alder,{ALDER},ledger,gbol,\nalder,{BIRCH},shop,fztf,\n"
    file.write_text("customer,company_id,connection,platform_key,keep\n" + rows)

    with pytest.raises(pulumi.RunError, match="alder has several company ids"):
        run(table=str(file))
