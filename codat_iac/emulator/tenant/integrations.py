"""The platforms of a tenant: key, name and source type, as Codat's guides list them.

Ids are derived from the key, since Codat publishes none and its examples disagree with each other.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

_NAMESPACE: Final = uuid.UUID("c0da7000-0000-4000-8000-000000000000")

_TABLE: Final = """
Accounting trji Microsoft Dynamics 365 Business Central
Accounting rqwd Microsoft Dynamics 365 Finance & Operations
Accounting qudb Exact (Netherlands)
Accounting pbbf Exact (UK)
Accounting fbrh FreeAgent
Accounting vxvy FreshBooks
Accounting pdvj MYOB Business
Accounting akxx Oracle NetSuite
Accounting pqsw QuickBooks Desktop
Accounting qhyg QuickBooks Online
Accounting ndsk QuickBooks Online Sandbox
Accounting jcrp Sage 200 Standard
Accounting hbql Sage 50 (UK)
Accounting tgff Sage Business Cloud Accounting
Accounting knfz Sage Intacct
Accounting mqjo Sandbox
Accounting pbtz Wave
Accounting rvam Workday
Accounting gbol Xero
Accounting rwuv Zoho Books
Banking suuo Plaid
Banking upvr TrueLayer
Commerce qkdj Amazon Seller Central
Commerce vqzp BigCommerce
Commerce fqly Clover
Commerce aiwb Commerce Sandbox
Commerce lrhd Lightspeed K Sandbox
Commerce ltes Lightspeed K Trial
Commerce lqai Partner Commerce
Commerce fztf Shopify
Commerce zsth Square
Commerce xcwv Square Sandbox
Commerce exgd Stripe
Commerce yzth Stripe Test
Commerce ltpp WooCommerce
Commerce ugxp Zettle
BankFeed hcws QuickBooks Online Bank Feeds
BankFeed olpr Sage Bank Feeds
Other zpqy Bank Statement Upload
Banking dfxm Basiq
Commerce ldgh Lightspeed K
Accounting vjms Pandle
"""

_DISABLED: Final = frozenset({"dfxm", "ldgh", "vjms"})
"""Platforms retired on 2025-10-31 and 2026-01-10: still listed, but they can't be connected."""

_OFFLINE: Final = frozenset({"pqsw", "hbql"})
"""Platforms that are reached through a program on the customer's own machine."""


@dataclass(frozen=True)
class Integration:
    """One platform, and the ids that its connections carry."""

    key: str
    name: str
    source_type: str

    @property
    def enabled(self) -> bool:
        """Whether this tenant may connect to it."""
        return self.key not in _DISABLED

    @cached_property
    def integration_id(self) -> str:
        """Codat's `integrationId`."""
        return str(uuid.uuid5(_NAMESPACE, f"integration {self.key}"))

    @cached_property
    def source_id(self) -> str:
        """Codat's `sourceId`."""
        return str(uuid.uuid5(_NAMESPACE, f"source {self.key}"))

    @property
    def json(self) -> dict[str, Any]:
        """Codat's Integration."""
        return {
            "key": self.key,
            "logoUrl": f"https://static.codat.io/public/officialLogos/Full/{self.key}.png",
            "name": self.name,
            "enabled": self.enabled,
            "sourceId": self.source_id,
            "sourceType": self.source_type,
            "integrationId": self.integration_id,
            "isOfflineConnector": self.key in _OFFLINE,
            "isBeta": False,
            "dataProvidedBy": self.name,
            "datatypeFeatures": [
                {
                    "datatype": "company",
                    "supportedFeatures": [{"featureType": "Get", "featureState": "Release"}],
                }
            ],
        }


def _read(table: str) -> dict[str, Integration]:
    rows = (line.split(maxsplit=2) for line in table.strip().splitlines())
    return {key: Integration(key, name, source_type) for source_type, key, name in rows}


INTEGRATIONS: Final = _read(_TABLE)

ONE_ACTIVE: Final = frozenset({"Accounting", "BankFeed"})
"""Source types of which Codat allows one active connection for each company."""
