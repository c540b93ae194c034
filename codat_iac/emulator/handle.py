"""How an emulator is run: for a person until a signal, or in a thread for a test."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, cast

from codat_iac.emulator.pipeline import plain
from codat_iac.emulator.requests.messages import Call
from codat_iac.emulator.routes import find
from codat_iac.emulator.server import listening
from codat_iac.emulator.store import open_store
from codat_iac.emulator.world import Beginning, World, authorization

DEFAULT_API_KEY: Final = "emulator-api-key"


def run(
    port: int,
    api_key: str,
    companies: int = 0,
    state: str | Path | None = None,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. `companies` are those of a new state; one that is there is taken up.

    Raises ConfigError where the port is in use or the state file can't be used.
    """
    with closing(open_store(state)) as store:
        world = World(Beginning(api_key, companies), store)
        asyncio.run(_until_signalled(world, port, on_ready))


async def _until_signalled(world: World, port: int, on_ready: Callable[[str], object] | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with listening(world, port):
        if on_ready:
            on_ready(world.url)
        await stop.wait()


class Emulator:
    """A running emulator. The methods are the control routes, without the way over HTTP."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        self.url = world.url
        self.api_key = world.beginning.api_key
        self.authorization = authorization(self.api_key)
        self._world = world
        self._loop = loop

    def add_company(self, name: str, tenant: str = "main") -> dict[str, Any]:
        """A company; its name is taken as it is."""
        return self._act("POST", "companies", {"name": name, "tenant": tenant})

    def delete_company(self, company_id: str) -> None:
        """The company and its connections go."""
        self._act("DELETE", f"companies/{company_id}")

    def connect(self, company_id: str, platform_key: str, status: str = "Linked") -> dict[str, Any]:
        """The customer, or somebody in the Portal, makes a connection. Any status goes."""
        body = {"platformKey": platform_key, "status": status}
        return self._act("POST", f"companies/{company_id}/connections", body)

    def connections(self, company_id: str) -> list[dict[str, Any]]:
        """What the company really has: `id`, `platformKey` and `status` of each."""
        held = self._act("GET", f"companies/{company_id}/connections")["connections"]
        return cast("list[dict[str, Any]]", held)

    def authorise(self, connection_id: str) -> dict[str, Any]:
        """The customer authorises."""
        return self._act("POST", f"connections/{connection_id}/authorise")

    def revoke(self, connection_id: str) -> dict[str, Any]:
        """The customer revokes access at the platform: Linked becomes Deauthorized."""
        return self._act("POST", f"connections/{connection_id}/revoke")

    def fail(self, connection_id: str) -> dict[str, Any]:
        """The customer's attempt fails: an error is added, the status stays."""
        return self._act("POST", f"connections/{connection_id}/fail")

    def unlink(self, connection_id: str) -> dict[str, Any]:
        """The customer disconnects."""
        return self._act("POST", f"connections/{connection_id}/unlink")

    def delete_connection(self, connection_id: str) -> None:
        """Somebody deletes the connection in the Portal."""
        self._act("DELETE", f"connections/{connection_id}")

    def add_key(self, api_key: str, tenant: str = "main", *, outdated: bool = False) -> None:
        """Another API key, of this tenant or of another; an outdated one gets 403."""
        self._act("POST", "keys", {"apiKey": api_key, "tenant": tenant, "outdated": outdated})

    def faults(self, faults: Sequence[Mapping[str, Any]] | None = None) -> list[dict[str, Any]]:
        """Put these faults in place of those in force; without any, only tell."""
        given = None if faults is None else list(faults)
        answer = self._act("GET", "faults") if given is None else self._act("POST", "faults", given)
        return cast("list[dict[str, Any]]", answer["faults"])

    def knobs(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Set knobs; answers the value of each."""
        answer = self._act("POST", "knobs", dict(changes)) if changes else self._act("GET", "knobs")
        return {knob["name"]: knob["value"] for knob in answer["knobs"]}

    def requests(self, last: int | None = None) -> dict[str, Any]:
        """The log: total, counts for each operation, peaks, and all requests or so many of the latest."""
        return self._act("GET", "requests", query={} if last is None else {"last": str(last)})

    def counts(self) -> dict[str, int]:
        """How often each operation was asked for."""
        return cast("dict[str, int]", self.requests(last=0)["counts"])

    def clear_requests(self) -> None:
        """Start the log and the peaks anew."""
        self._act("DELETE", "requests")

    def reset(self) -> None:
        """Back to how it started."""
        self._act("POST", "reset")

    def _act(
        self, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Do it on the emulator's own thread; ValueError with its words where it can't be done."""
        done: Future[dict[str, Any]] = Future()

        def act() -> None:
            try:
                done.set_result(_control(self._world, method, path, body, query or {}))
            except Exception as error:  # noqa: BLE001 - raised again where it was asked
                done.set_exception(error)

        self._loop.call_soon_threadsafe(act)
        return done.result()


def _control(world: World, method: str, path: str, body: object, query: Mapping[str, str]) -> dict[str, Any]:
    route, args = find(method, f"/_emulator/{path}")
    reply = plain(world, Call(method, path, query, body=json.dumps(body).encode(), args=args), route).reply
    data = cast("dict[str, Any]", json.loads(reply.body))
    if reply.status != 200:
        raise ValueError(data["error"])
    return data


@contextmanager
def serving(
    *,
    api_key: str = DEFAULT_API_KEY,
    companies: int = 0,
    linked: bool = False,
    seed: int = 0,
    state: str | Path | None = None,
    port: int = 0,
) -> Iterator[Emulator]:
    """An emulator in a thread. `linked`: each of the `companies` has one Linked Xero connection.

    Raises ConfigError where the port is in use or the state file can't be used.
    """
    started: Future[Emulator] = Future()
    stop: Future[asyncio.Event] = Future()

    async def serve() -> None:
        with closing(open_store(state)) as store:
            world = World(Beginning(api_key, companies, linked, seed), store)
            event = asyncio.Event()
            async with listening(world, port):
                stop.set_result(event)
                started.set_result(Emulator(world, asyncio.get_running_loop()))
                await event.wait()

    def thread() -> None:
        try:
            asyncio.run(serve())
        except Exception as error:  # noqa: BLE001 - raised again where it was started
            started.set_exception(error)

    worker = threading.Thread(target=thread, name="codat-emulator", daemon=True)
    worker.start()
    try:
        emulator = started.result()
    except BaseException:
        worker.join()
        raise
    try:
        yield emulator
    finally:
        emulator._loop.call_soon_threadsafe(stop.result().set)  # noqa: SLF001 - its own maker
        worker.join()
