"""What is known of platforms: which can be connected to, and what Codat advises about some of them. Pure."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from codat_iac.model.connection import Address, DesiredConnection, Integration, OnRemoval, Status
from codat_iac.model.text import join_names, safe_text

# fmt: off
_ACCOUNTING = frozenset({
    "akxx", "fbrh", "gbol", "hbql", "jcrp", "knfz", "mqjo", "ndsk", "pbbf", "pbtz",
    "pdvj", "pqsw", "qhyg", "qudb", "rqwd", "rvam", "rwuv", "tgff", "trji", "vxvy",
})
# fmt: on
"""Keys of accounting platforms: https://docs.codat.io/integrations/accounting/overview."""

_RETIRED = {
    "dfxm": ("Basiq", "2025-10-31"),
    "ldgh": ("Lightspeed K", "2026-01-10"),
    "vjms": ("Pandle", "2026-01-10"),
}
"""Names and last days of platforms that Codat retired: https://docs.codat.io/updates/251003."""

_XERO = "gbol"


def platform_problem(key: str, platforms: Mapping[str, Integration]) -> str | None:
    """Return why no connection to platform *key* can be made, or None if it can.

    *platforms* are the tenant's, by key. Codat doesn't document its answer to a POST for a platform that
    isn't enabled.
    """
    known = platforms.get(key)
    if known and known.enabled:
        return None
    if known:
        return (
            f"{safe_text(known.name)} ({known.key}) is not enabled; enable it under Settings, Integrations in"
            " the Codat Portal"
        )
    near = difflib.get_close_matches(key, platforms, 1)
    hint = (
        f"did you mean {near[0]} ({safe_text(platforms[near[0]].name)})?"
        if near
        else "see Settings, Integrations in the Codat Portal"
    )
    return f"{key!r} is not the key of a platform of this tenant; {hint}"


def advice(
    declared: Iterable[DesiredConnection], source_types: Mapping[Address, str] | None = None
) -> list[str]:
    """Return what Codat advises about platforms that are declared, a line each; nothing is refused.

    *source_types* are those that Codat reports, by address. Otherwise an accounting platform is known by its
    key; one of another kind counts for nothing.
    """
    known = source_types or {}
    connections = sorted(declared, key=lambda each: each.address)
    return [*_several_accounting(connections, known), *_retired(connections)]


def _several_accounting(
    declared: Sequence[DesiredConnection], source_types: Mapping[Address, str]
) -> Iterator[str]:
    """Warn of companies with more than one active accounting source.

    A company has a single one; to change the software, Codat recommends a new company. Sources:
    https://docs.codat.io/integrations and https://docs.codat.io/expenses/faq.
    """
    companies: dict[str, list[str]] = defaultdict(list)
    for each in declared:
        kind = source_types.get(each.address)
        accounting = kind == "Accounting" if kind else each.platform_key in _ACCOUNTING
        if accounting and each.status is Status.LINKED:
            companies[each.company_id].append(each.address)
    for addresses in companies.values():
        if len(addresses) > 1:
            yield (
                f"{join_names(addresses)}: they are accounting connections of one company, and Codat allows a"
                " company one active accounting source; declare the others `Unlinked`, or make a new company"
                " if the customer changes the software"
            )


def _retired(declared: Sequence[DesiredConnection]) -> Iterator[str]:
    for key, (name, since) in _RETIRED.items():
        addresses = [each.address for each in declared if each.platform_key == key]
        if addresses:
            yield (
                f"{join_names(addresses)}: Codat retired {name} ({key}) on {since}, so nobody can connect to"
                " it any more; take it out of the file, with `onRemoval: retain` if its data is to stay"
            )


def xero_advice(unlinked: Iterable[DesiredConnection]) -> str:
    """Return the advice for connections that are unlinked when they are removed; "" if none is Xero's.

    Xero's partner certification asks for a delete (since December 2024):
    https://docs.codat.io/integrations/accounting/xero/partner-certification.
    """
    addresses = sorted(
        each.address
        for each in unlinked
        if each.platform_key == _XERO and each.on_removal is OnRemoval.UNLINK
    )
    if not addresses:
        return ""
    return (
        f"{join_names(addresses)}: {'it is' if len(addresses) == 1 else 'they are'} unlinked on removal, and"
        " Xero's certified partners must delete a connection that its customer ends; if you are one, set"
        " `onRemoval: delete`"
    )
