"""A desired-state file in Python: `desired()` returns the data that a YAML file would hold.

It is worth it if connections follow a rule. Try: codat-iac validate examples/python-file
"""

from __future__ import annotations

SHOPS = {
    "north": "0d4d0f5c-53a5-4c0e-8a39-0d4f0a5f7f10",
    "south": "5b7b1d0c-98a1-4d43-9a1c-9c3b6e0d2a11",
}


def desired() -> dict[str, object]:
    """Return two connections for each shop, Xero and Shopify; a shop that leaves the list stays linked."""
    connections = {"ledger": {"platformKey": "gbol"}, "shop": {"platformKey": "fztf"}}
    return {
        "version": 1,
        "defaults": {"onRemoval": "retain"},
        "companies": {name: {"id": id_, "connections": connections} for name, id_ in SHOPS.items()},
    }
