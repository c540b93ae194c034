"""Declare the connections of all customers in a table, each customer as one component.

Try: codat-iac plan, then pulumi up
"""

from __future__ import annotations

from pathlib import Path

import pulumi
from customers import Customer, Row, read_table

config = pulumi.Config()
companies_from = config.get("companiesFrom")
# What another stack exports is known in a preview, unlike what this one has yet to make.
companies = pulumi.StackReference(companies_from) if companies_from else None


def company_id(name: str, rows: list[Row]) -> pulumi.Input[str]:
    """Return the id of a customer's company: from the table, or else from the stack that makes companies."""
    ids = {row.company_id for row in rows if row.company_id}
    if len(ids) > 1:
        raise pulumi.RunError(f"{name} has several company ids: {', '.join(sorted(ids))}")
    if ids:
        return ids.pop()
    if companies is None:
        raise pulumi.RunError(f"{name} has no company_id, and `companiesFrom` names no stack that has one")
    return companies.require_output("companyIds").apply(lambda known: str(known[name]))


table = Path(pulumi.get_root_directory(), config.require("table"))
statuses = {
    name: Customer(name, company_id(name, rows), rows).statuses for name, rows in read_table(table).items()
}
pulumi.export("statuses", statuses)
