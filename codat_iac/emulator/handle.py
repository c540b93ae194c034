"""Run an emulator: for a person until a signal, or in a thread for a test."""

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

from codat_iac.emulator.people.living import step
from codat_iac.emulator.pipeline import answer_directly
from codat_iac.emulator.requests.messages import Call
from codat_iac.emulator.routes import find
from codat_iac.emulator.server import listening
from codat_iac.emulator.store import open_store
from codat_iac.emulator.world import InitialState, World, authorization

DEFAULT_API_KEY: Final = "emulator-api-key"


def run(
    port: int,
    api_key: str,
    companies: int = 0,
    state: str | Path | None = None,
    on_ready: Callable[[str], object] | None = None,
    *,
    demo: bool = False,
    seed: int = 0,
    rate: float | None = None,
) -> None:
    """Serve on *port* (0: a free one) until SIGINT or SIGTERM.

    *state* is a SQLite file that keeps the state between runs; without one the state is lost at the end. If
    the state is new, it starts with *companies* companies; in a *demo* they have tags and connections. With a
    *rate*, the tenant lives by itself: so many acts a second. *seed* determines both. *on_ready* gets the URL
    once it is served.

    Raises `ConfigError` if the port is in use or the state file can't be used.
    """
    with closing(open_store(state)) as store:
        world = World(InitialState(api_key, companies, seed=seed, demo=demo), store)
        asyncio.run(_serve_until_signalled(world, port, on_ready, rate))


async def _serve_until_signalled(
    world: World, port: int, on_ready: Callable[[str], object] | None, rate: float | None
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with listening(world, port):
        if on_ready:
            on_ready(world.url)
        async with asyncio.TaskGroup() as tasks:
            life = tasks.create_task(_live(world, rate))
            await stop.wait()
            life.cancel()


async def _live(world: World, rate: float | None) -> None:
    """Let the tenant live at a *rate* of so many acts a second, for ever."""
    while rate is not None:
        await asyncio.sleep(1 / rate)
        step(world)


class Emulator:
    """A running emulator. Its methods do what the control routes do, without HTTP.

    A method raises `ValueError` with the emulator's reason if it can't be done.
    """

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        self.url = world.url
        self.api_key = world.beginning.api_key
        self.authorization = authorization(self.api_key)
        self._world = world
        self._loop = loop

    def add_company(
        self, name: str, tenant: str = "main", tags: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Add a company, with exactly this name, and return it as Codat's JSON."""
        return self._control("POST", "companies", {"name": name, "tenant": tenant, "tags": dict(tags or {})})

    def change_company(
        self, company_id: str, name: str | None = None, tags: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Rename a company or replace its tags, as somebody in the Portal."""
        given = {"name": name, "tags": None if tags is None else dict(tags)}
        body = {key: value for key, value in given.items() if value is not None}
        return self._control("POST", f"companies/{company_id}", body)

    def delete_company(self, company_id: str) -> None:
        """Delete a company and its connections."""
        self._control("DELETE", f"companies/{company_id}")

    def connect(self, company_id: str, platform_key: str, status: str = "Linked") -> dict[str, Any]:
        """Make a connection, as the customer or somebody in the Portal; any status is accepted."""
        body = {"platformKey": platform_key, "status": status}
        return self._control("POST", f"companies/{company_id}/connections", body)

    def connections(self, company_id: str) -> list[dict[str, Any]]:
        """Return `id`, `platformKey` and `status` of the company's connections, unaffected by read lag."""
        held = self._control("GET", f"companies/{company_id}/connections")["connections"]
        return cast("list[dict[str, Any]]", held)

    def authorise(self, connection_id: str) -> dict[str, Any]:
        """Authorise a connection, as the customer."""
        return self._control("POST", f"connections/{connection_id}/authorise")

    def revoke(self, connection_id: str) -> dict[str, Any]:
        """Revoke access at the platform, as the customer: Linked becomes Deauthorized."""
        return self._control("POST", f"connections/{connection_id}/revoke")

    def fail(self, connection_id: str) -> dict[str, Any]:
        """Let the customer's attempt to authorise fail: an error is added, the status stays."""
        return self._control("POST", f"connections/{connection_id}/fail")

    def unlink(self, connection_id: str) -> dict[str, Any]:
        """Disconnect a connection, as the customer: it becomes Unlinked."""
        return self._control("POST", f"connections/{connection_id}/unlink")

    def delete_connection(self, connection_id: str) -> None:
        """Delete a connection, as somebody in the Portal."""
        self._control("DELETE", f"connections/{connection_id}")

    def add_key(self, api_key: str, tenant: str = "main", *, outdated: bool = False) -> None:
        """Add another API key, of this tenant or of another; an outdated one gets 403."""
        self._control("POST", "keys", {"apiKey": api_key, "tenant": tenant, "outdated": outdated})

    def faults(self, faults: Sequence[Mapping[str, Any]] | None = None) -> list[dict[str, Any]]:
        """Replace the active faults by *faults*, unless that is None; return the active faults."""
        given = None if faults is None else list(faults)
        answer = self._control("GET", "faults") if given is None else self._control("POST", "faults", given)
        return cast("list[dict[str, Any]]", answer["faults"])

    def knobs(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Set knobs, if *changes* are given; return the value of each knob by name."""
        answer = self._control("POST", "knobs", dict(changes)) if changes else self._control("GET", "knobs")
        return {knob["name"]: knob["value"] for knob in answer["knobs"]}

    def requests(self, last: int | None = None) -> dict[str, Any]:
        """Return the log: total, counts by operation, peaks, and all requests or the *last* ones."""
        return self._control("GET", "requests", query={} if last is None else {"last": str(last)})

    def counts(self) -> dict[str, int]:
        """Return the number of requests by operation."""
        return cast("dict[str, int]", self.requests(last=0)["counts"])

    def clear_requests(self) -> None:
        """Clear the log and the peaks."""
        self._control("DELETE", "requests")

    def live(self, steps: int = 1) -> list[dict[str, Any]]:
        """Let the tenant live by itself for so many acts, which the seed determines; return them."""
        return cast("list[dict[str, Any]]", self._control("POST", "live", {"steps": steps})["acts"])

    def reset(self) -> None:
        """Restore the state that the emulator started with."""
        self._control("POST", "reset")

    def _control(
        self, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Call a control route on the emulator's own thread. Raises `ValueError` with its error text."""
        done: Future[dict[str, Any]] = Future()

        def act() -> None:
            try:
                done.set_result(_answer_control(self._world, method, path, body, query or {}))
            except Exception as error:  # noqa: BLE001 - raised again where it was asked
                done.set_exception(error)

        self._loop.call_soon_threadsafe(act)
        return done.result()


def _answer_control(
    world: World, method: str, path: str, body: object, query: Mapping[str, str]
) -> dict[str, Any]:
    route, args = find(method, f"/_emulator/{path}")
    reply = answer_directly(
        world, Call(method, path, query, body=json.dumps(body).encode(), args=args), route
    ).reply
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
    demo: bool = False,
    state: str | Path | None = None,
    port: int = 0,
) -> Iterator[Emulator]:
    """Serve an emulator in a thread, as `run` does, and stop it in the end.

    If *linked*, each of the *companies* has one Linked Xero connection; in a *demo* they have tags, and
    connections of every status. *seed* determines their ids, and what `Emulator.live` does. Raises
    `ConfigError` if the port is in use or the state file can't be used.
    """
    started: Future[Emulator] = Future()
    stop: Future[asyncio.Event] = Future()

    async def serve() -> None:
        with closing(open_store(state)) as store:
            world = World(InitialState(api_key, companies, linked, seed, demo), store)
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
