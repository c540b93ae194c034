"""The whole state of one emulator, and how it starts, resets and resumes."""

from __future__ import annotations

import base64
import math
import random
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

from codat_iac.emulator.requests.faults import Faults
from codat_iac.emulator.requests.idempotency import Idempotency
from codat_iac.emulator.requests.limits import Limits
from codat_iac.emulator.requests.messages import Call, Refusal
from codat_iac.emulator.requests.requestlog import RequestLog
from codat_iac.emulator.store import Saved, Store
from codat_iac.emulator.tenant.demo import demo_companies
from codat_iac.emulator.tenant.history import Act, History
from codat_iac.emulator.tenant.knobs import KNOBS
from codat_iac.emulator.tenant.links import Links
from codat_iac.emulator.tenant.seeds import id_from, seeded_companies
from codat_iac.emulator.tenant.tenant import Tenant

MAIN: Final = "main"
"""The tenant of the key that the emulator was started with."""


@dataclass(frozen=True, slots=True)
class InitialState:
    """The key, and the companies, that an emulator starts with."""

    api_key: str
    companies: int = 0
    linked: bool = False
    seed: int = 0
    demo: bool = False


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The tenant of a key, and whether the key was replaced by a newer one."""

    tenant: str
    outdated: bool = False


def authorization(api_key: str) -> str:
    """Return the Authorization header for a key: Basic, and the key alone encoded, without user or colon."""
    return f"Basic {base64.b64encode(api_key.encode()).decode()}"


class World:
    """The tenants, keys, knobs, faults, limits and log of one emulator.

    `url` is where it is served. New ids come from `dice`: at random, but for what lives by itself.
    """

    def __init__(self, beginning: InitialState, store: Store) -> None:
        self.beginning = beginning
        self.store = store
        self.url = ""
        self.dice: random.Random = random.SystemRandom()
        self._shifts = 0
        self._start_over()
        saved = store.load()
        if saved:
            self._resume(saved)
        else:
            self._seed()

    def now(self) -> float:
        """Return the time of the emulator's clock, in seconds since 1970."""
        ahead: float = self.knobs["clockAheadSeconds"]
        return time.time() + ahead

    def new_id(self) -> str:
        """Return an id that nothing has or had; `dice` determine it."""
        return id_from(self.dice)

    def list_time(self) -> float:
        """Return the time whose state lists show: in the past if there is a read lag."""
        lag: float = self.knobs["readLagSeconds"]
        return self.now() - lag if lag else math.inf

    def next_row_shift(self) -> int:
        """Return by how many rows a list is rotated; it grows with each list request."""
        shift = self._shifts * int(self.knobs["rowShift"])
        self._shifts += 1
        return shift

    def authenticate(self, call: Call) -> str:
        """Return the tenant of the request's key. Raises `Refusal`."""
        key = self.keys.get(call.headers.get("Authorization", ""))
        if key is None:
            raise Refusal(401)
        if key.outdated:
            raise Refusal(403)
        return key.tenant

    def tenant_of_company(self, company_id: str) -> Tenant | None:
        """Return the tenant that has this company, None if there is none."""
        return next((each for each in self.tenants.values() if company_id in each.companies), None)

    def tenant_of_connection(self, connection_id: str) -> Tenant | None:
        """Return the tenant that has this connection, None if there is none."""
        return next((each for each in self.tenants.values() if connection_id in each.company_ids), None)

    def tenant(self, name: str) -> Tenant:
        """Return the tenant of that name, a new one if there is none."""
        return self.tenants.setdefault(name, Tenant(name, self.store))

    def add_key(self, api_key: str, key: ApiKey) -> None:
        """Add an API key, or change what it may do."""
        self.tenant(key.tenant)
        self.keys[authorization(api_key)] = key
        self._added[api_key] = [key.tenant, key.outdated]
        self.store.put_setting("keys", self._added)

    def set_knobs(self, changes: dict[str, Any]) -> None:
        """Set knobs; the caller must have checked their values."""
        self.knobs.update(changes)
        self.store.put_setting("knobs", self.knobs)

    def add_act(self, act: Act) -> None:
        """Record what the tenant did by itself, and how much it has done."""
        self.history.add(act)
        self.store.put_setting("acts", self.history.total)

    def reset(self) -> None:
        """Restore companies, keys, knobs, faults and log as they were at the start."""
        self.store.clear()
        self._start_over()
        self._seed()

    def _start_over(self) -> None:
        self.tenants: dict[str, Tenant] = {MAIN: Tenant(MAIN, self.store)}
        self.keys = {authorization(self.beginning.api_key): ApiKey(MAIN)}
        self._added: dict[str, Any] = {}
        self.knobs: dict[str, Any] = {knob.name: knob.default for knob in KNOBS.values()}
        self.faults = Faults()
        self.log = RequestLog()
        self.limits = Limits()
        self.history = History()
        self.idempotency = Idempotency(self.store)
        self.links = Links(secrets.token_bytes(32))

    def _seed(self) -> None:
        start = self.beginning
        if start.demo:
            companies = list(demo_companies(start.companies, start.seed, self.now()))
        else:
            companies = list(seeded_companies(start.companies, start.seed, linked=start.linked))
        self.tenants[MAIN].fill(companies)
        for company in companies:
            self.store.put_company(MAIN, company)
        secret = secrets.token_hex(32)
        self.links = Links(bytes.fromhex(secret))
        self.store.put_setting("secret", secret)
        self.store.commit()

    def _resume(self, saved: Saved) -> None:
        self.links = Links(bytes.fromhex(saved.settings["secret"]))
        self.knobs.update(saved.settings.get("knobs", {}))
        self.history.total = saved.settings.get("acts", 0)
        for api_key, (tenant, outdated) in saved.settings.get("keys", {}).items():
            self.add_key(api_key, ApiKey(tenant, outdated))
        for name, companies in saved.companies.items():
            self.tenant(name).fill(companies)
        for each in self.tenants.values():
            each.deleted |= saved.deleted
        self.idempotency.fill(saved.kept)
        self.store.commit()
