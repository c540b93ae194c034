"""What only the tenant can tell about a desired state: whether it has these platforms and companies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from codat_iac.desired.document import Document
from codat_iac.model.connection import Integration
from codat_iac.planning.platforms import platform_problem


@dataclass(frozen=True, slots=True)
class Tenant:
    """The platforms of a tenant by key, and the ids of its companies."""

    platforms: Mapping[str, Integration]
    company_ids: Collection[str]


def check_tenant(documents: Iterable[Document], tenant: Tenant) -> None:
    """Report each platform and company that *tenant* doesn't have, in documents without other problems."""
    for document in documents:
        for name, company in document.data["companies"].items():
            trail = ("companies", name)
            if company["id"].lower() not in tenant.company_ids:
                document.report(
                    "its id is none of this tenant's companies; correct it, or use the key of its tenant",
                    document.value_place((*trail, "id")),
                    trail,
                )
            for key, connection in company["connections"].items():
                inner = (*trail, "connections", key)
                problem = platform_problem(connection["platformKey"], tenant.platforms)
                if problem:
                    document.report(problem, document.value_place((*inner, "platformKey")), inner)
