"""Store the state that survives a kill: companies, connections, used links, kept answers, keys and knobs.

SQLite in WAL mode. A request's changes are one transaction, which is committed before the answer is sent. So
a killed emulator has done a request wholly or not at all. Without a file nothing is stored.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from codat_iac.emulator.requests.idempotency import Kept
from codat_iac.emulator.requests.messages import Reply
from codat_iac.emulator.tenant.tenant import Company, Connection
from codat_iac.model.errors import ConfigError

_FORMAT: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS companies (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deleted (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS kept (tenant TEXT, key TEXT, body TEXT NOT NULL, PRIMARY KEY (tenant, key));
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, body TEXT NOT NULL);
"""
_TABLES: Final = ("companies", "deleted", "kept", "settings")


@dataclass(frozen=True, slots=True)
class Saved:
    """The state of an earlier run. `companies` holds each tenant's, in the order they were made."""

    settings: dict[str, Any]
    companies: dict[str, list[Company]]
    deleted: set[str]
    kept: list[Kept]


class Store:
    """A store that keeps nothing, and the interface of all stores. Changes take effect at `commit`."""

    def put_company(self, tenant: str, company: Company) -> None:
        """Record a company as it is now."""

    def drop_company(self, company_id: str) -> None:
        """Record that a company is gone."""

    def put_deleted(self, connection_id: str) -> None:
        """Record that a connection was there once."""

    def put_kept(self, kept: Kept) -> None:
        """Record an idempotent answer."""

    def put_setting(self, name: str, value: object) -> None:
        """Record a setting."""

    def commit(self) -> None:
        """Commit the changes so far."""

    def clear(self) -> None:
        """Delete everything."""

    def load(self) -> Saved | None:
        """Return the state of an earlier run, None if there is none."""
        return None

    def close(self) -> None:
        """Close the file."""


class FileStore(Store):
    """A store in one SQLite file, which is locked for one emulator."""

    def __init__(self, path: Path) -> None:
        self._database = _open(path)

    def put_company(self, tenant: str, company: Company) -> None:
        """Record a company as it is now."""
        # An update keeps the rowid, and with it the company's place in the order.
        self._database.execute(
            "INSERT INTO companies VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (company.id, tenant, json.dumps(_company_json(company))),
        )

    def drop_company(self, company_id: str) -> None:
        """Record that a company is gone."""
        self._database.execute("DELETE FROM companies WHERE id = ?", (company_id,))

    def put_deleted(self, connection_id: str) -> None:
        """Record that a connection was there once."""
        self._database.execute("INSERT OR REPLACE INTO deleted VALUES (?)", (connection_id,))

    def put_kept(self, kept: Kept) -> None:
        """Record an idempotent answer."""
        reply = kept.reply
        body = [
            kept.request,
            kept.made,
            reply.status,
            reply.body.decode(),
            reply.content_type,
            dict(reply.headers),
        ]
        self._database.execute(
            "INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (kept.tenant, kept.key, json.dumps(body))
        )

    def put_setting(self, name: str, value: object) -> None:
        """Record a setting."""
        self._database.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def commit(self) -> None:
        """Commit the transaction."""
        self._database.commit()

    def clear(self) -> None:
        """Empty the tables."""
        for table in _TABLES:
            self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names

    def load(self) -> Saved | None:
        """Read the whole file; return None for a new one, which has no settings."""
        read = self._database.execute
        settings = {name: json.loads(body) for name, body in read("SELECT name, body FROM settings")}
        if not settings:
            return None
        companies: dict[str, list[Company]] = {}
        for tenant, body in read("SELECT tenant, body FROM companies ORDER BY rowid"):
            companies.setdefault(tenant, []).append(_company(json.loads(body)))
        return Saved(
            settings=settings,
            companies=companies,
            deleted={row[0] for row in read("SELECT id FROM deleted")},
            kept=[_kept(tenant, key, json.loads(body)) for tenant, key, body in read("SELECT * FROM kept")],
        )

    def close(self) -> None:
        """Close the file, so that another emulator may use it."""
        self._database.close()


def open_store(path: str | Path | None) -> Store:
    """Return the store for a state file, or a store that keeps nothing. Raises `ConfigError`."""
    return Store() if path is None else FileStore(Path(path))


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, locked for this process alone; in WAL mode, NORMAL mode survives a kill -9."""
    with suppress(OSError):  # it is there, or SQLite says what is wrong
        path.touch(0o600, exist_ok=False)
    try:
        database = sqlite3.connect(path, timeout=0)
    except sqlite3.Error as error:
        raise _refused(path, error) from None
    try:
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL"):
            database.execute(f"PRAGMA {pragma}")
        _make_tables(database)
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):
            database.close()
        raise _refused(path, error) from None
    return database


def _make_tables(database: sqlite3.Connection) -> None:
    """Create the tables in a new file; refuse a file of another program or another version."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version != _FORMAT and (version or tables):
        raise sqlite3.DatabaseError("it isn't a state of this version")
    database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_FORMAT}; COMMIT;")


def _refused(path: Path, error: sqlite3.Error) -> ConfigError:
    if "locked" in str(error):
        return ConfigError(f"{path}: another emulator uses this state file; stop it, or give another --state")
    return ConfigError(f"{path}: can't be used as the emulator's state: {error}; give another --state file")


def _company_json(company: Company) -> dict[str, Any]:
    return {
        "id": company.id,
        "name": company.name,
        "created": company.created,
        "description": company.description,
        "tags": company.tags,
        "connections": [
            [
                each.id,
                each.platform_key,
                each.status,
                each.created,
                each.last_sync,
                each.errors,
                each.links_used,
            ]
            for each in company.connections.values()
        ],
    }


def _company(data: dict[str, Any]) -> Company:
    connections = (_connection(data["id"], row) for row in data.pop("connections"))
    return Company(**data, connections={each.id: each for each in connections})


def _connection(company_id: str, row: list[Any]) -> Connection:
    id_, platform_key, status, created, last_sync, errors, links_used = row
    return Connection(
        id_, company_id, platform_key, status, created, last_sync, tuple(errors), tuple(links_used)
    )


def _kept(tenant: str, key: str, row: list[Any]) -> Kept:
    request, made, status, body, content_type, headers = row
    return Kept(tenant, key, request, made, Reply(status, body.encode(), content_type, headers))
