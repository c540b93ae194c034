"""A stateful Codat over real HTTP on loopback: strict where Codat is known, adjustable where it isn't.

`run` serves until it gets a signal; `serving` does the same in a thread, for tests. Both bind 127.0.0.1 only.

A request passes these modules:

```
handle      starts and stops it, and is its remote control
server      HTTP on a socket; resets, cut and slow bodies; the only module that uses aiohttp
pipeline    log, fault, key, limits, idempotency, work, commit
routes      path to function
requests    one request: its messages, origin, faults, limits, idempotency key, and the log
api         Codat's operations on companies and connections; paging, queries, JSON
people      acts of the customer, the Portal and the tests: control, living; pages and console for browsers
world       all tenants, with their keys, knobs and clock
tenant      one tenant's state: connections, links, seeds, demo, history, integrations
store       SQLite, so that a kill loses nothing
```
"""

from __future__ import annotations

from codat_iac.emulator.handle import DEFAULT_API_KEY, Emulator, run, serving
from codat_iac.emulator.tenant.demo import DEMO_COMPANIES
from codat_iac.emulator.tenant.knobs import KNOBS

__all__ = ["DEFAULT_API_KEY", "DEMO_COMPANIES", "KNOBS", "Emulator", "run", "serving"]
