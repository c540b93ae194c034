"""Look at what is recorded, whatever is desired: what somebody else moved, and which customers must act."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from codat_iac.codat.client import Reader
from codat_iac.model.connection import ABSENT, LiveConnection, PriorConnection, Status
from codat_iac.model.errors import Mismatch
from codat_iac.model.settings import Settings
from codat_iac.model.times import past
from codat_iac.planning import rule_table
from codat_iac.planning.matching import belongs
from codat_iac.planning.plan import ALL_LINKS, Drifted, Link, LinkFilter
from codat_iac.planning.safety_limits import unseen_company
from codat_iac.reconcile.snapshot import CONCURRENT_READS, Snapshot


class RecordedConnections:
    """The *recorded* connections of a stack, compared with live.

    *company*, the first half of addresses, restricts what is looked at. Each method raises `Mismatch` if a
    company can't be seen, unless that is accepted, and `ApiError` if live can't be read.
    """

    def __init__(
        self,
        reader: Reader,
        settings: Settings,
        recorded: Sequence[PriorConnection],
        company: str | None = None,
    ) -> None:
        self._reader = reader
        self._settings = settings
        looked_at = (
            prior
            for prior in recorded
            if not prior.pending_removal and (company is None or belongs(prior.address, company))
        )
        # The state has them in the order in which some run wrote them.
        self._priors = sorted(looked_at, key=lambda prior: prior.address)
        self._snapshot = Snapshot(reader)

    @property
    def count(self) -> int:
        """The number of connections that are looked at."""
        return len(self._priors)

    def drift(self) -> tuple[Drifted, ...]:
        """Return what somebody else moved."""
        return tuple(each for each in self._compared() if rule_table.is_drift(each.was, each.now))

    def progress(self) -> tuple[Drifted, ...]:
        """Return what isn't as recorded and is no drift: customers authorised it."""
        moved = (each for each in self._compared() if each.was != each.now)
        return tuple(each for each in moved if not rule_table.is_drift(each.was, each.now))

    def in_status(self, statuses: Collection[str]) -> tuple[Drifted, ...]:
        """Return what is live in one of *statuses* and wasn't asked to be, also if it is recorded so."""
        return tuple(
            each for prior, each in self._pairs() if each.now in statuses and each.now != prior.desired.status
        )

    def _compared(self) -> Iterator[Drifted]:
        return (each for _, each in self._pairs())

    def _pairs(self) -> Iterator[tuple[PriorConnection, Drifted]]:
        for prior, live in self._read():
            now = live.status if live else ABSENT
            company_id, platform_key = prior.slot
            yield (
                prior,
                Drifted(prior.address, company_id, prior.id, platform_key, prior.status, now, prior.urn),
            )

    def links(
        self, chosen: LinkFilter = ALL_LINKS, leave_out: Callable[[str], None] = lambda _: None
    ) -> tuple[Link, ...]:
        """Return a fresh link for each recorded connection that waits for its customer now.

        *leave_out* gets the address of each that isn't *chosen* only because nobody knows since when it
        waits. No link is there twice.
        """
        now = datetime.now(UTC)
        waiting = list(self._chosen(chosen, now, leave_out))
        company_ids = sorted({prior.desired.company_id for prior in waiting})
        with ThreadPoolExecutor(CONCURRENT_READS) as threads:
            companies = dict(
                zip(company_ids, threads.map(self._reader.get_company, company_ids), strict=True)
            )
            waiting = [each for each in waiting if chosen.takes_tags(companies[each.desired.company_id].tags)]
            # Last of all, since any read of a connection may replace its link by a new one.
            fresh = list(threads.map(self._fresh, waiting))
        links: dict[str, Link] = {}
        for prior, live in zip(waiting, fresh, strict=True):
            if live and _waits(prior, live):
                company = companies[prior.desired.company_id]
                link = Link(
                    prior.address,
                    company.name,
                    live.platform_name or prior.desired.platform_key,
                    live.status,
                    waiting_since(live, now),
                    live.link_url,
                    company.id,
                    live.id,
                    prior.desired.platform_key,
                )
                links.setdefault(link.url or link.connection_id, link)
        return tuple(links.values())

    def _chosen(
        self, chosen: LinkFilter, now: datetime, leave_out: Callable[[str], None]
    ) -> Iterator[PriorConnection]:
        """Yield what waits and is chosen, each connection once; their companies' tags aren't known yet."""
        seen = set()
        for prior, live in self._read():
            if live is None or live.id in seen or not _waits(prior, live) or not chosen.takes(live):
                continue
            seen.add(live.id)
            since = waiting_since(live, now)
            if chosen.takes_since(since, now):
                yield prior
            elif not since:
                leave_out(prior.address)

    def _read(self) -> Iterator[tuple[PriorConnection, LiveConnection | None]]:
        """Yield each recorded connection with the live one, None if it is absent."""
        live = self._snapshot.of_recorded(self._priors)
        for prior in self._priors:
            company_id = prior.desired.company_id
            if live[company_id] is None and not self._settings.accept_missing:
                others_seen = any(company is not None for company in live.values())
                said = unseen_company(company_id, others_seen=others_seen)
                raise Mismatch(f"{prior.address}: {said}")
            yield prior, (live[company_id] or {}).get(prior.id)

    def _fresh(self, prior: PriorConnection) -> LiveConnection | None:
        return self._snapshot.fresh(prior.desired.company_id, prior.id)


def waiting_since(live: LiveConnection, now: datetime) -> str:
    """Return when a connection began to wait: when it was created or broke; empty if that is unknown."""
    if live.status == Status.PENDING_AUTH:
        began = [live.created]
    else:
        broke = [error for error in live.data_connection_errors if error.status != "Resolved"]
        began = [error.errored_on_utc or "" for error in reversed(broke)]
    return next((when for when in began if past(when, now)), "")


def _waits(prior: PriorConnection, live: LiveConnection | None) -> bool:
    return live is not None and rule_table.waits(rule_table.declared(prior.desired.status, live).notice)
