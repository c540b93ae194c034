"""Check that the tenant has the platforms and companies of a desired state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from codat_iac.desired.document import Document, Trail
from codat_iac.model.connection import Integration, normalised
from codat_iac.planning.platforms import platform_problem


@dataclass(frozen=True, slots=True)
class Tenant:
    """The platforms of a tenant by key, and the ids of its companies."""

    platforms: Mapping[str, Integration]
    company_ids: Collection[str]


def check_tenant(documents: Iterable[Document], tenant: Tenant) -> None:
    """Report each platform and company that *tenant* doesn't have.

    The documents must have no other problems: their data is read as valid.
    """
    for document in documents:
        for name, company in document.data["companies"].items():
            trail = ("companies", name)
            # What is named by a match is looked up with what the stack has recorded.
            if "id" in company and normalised(company["id"]) not in tenant.company_ids:
                document.report(
                    "its id is none of this tenant's companies; correct it, or use the key of its tenant",
                    document.value_place((*trail, "id")),
                    trail,
                )
            _check_platforms(document, trail, company, tenant)
        for name, rule in document.data.get("rules", {}).items():
            _check_platforms(document, ("rules", name), rule, tenant)


def _check_platforms(document: Document, trail: Trail, parent: dict[str, Any], tenant: Tenant) -> None:
    for key, connection in parent["connections"].items():
        inner = (*trail, "connections", key)
        problem = platform_problem(connection["platformKey"], tenant.platforms)
        if problem:
            document.report(problem, document.value_place((*inner, "platformKey")), inner)
