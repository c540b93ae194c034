"""Import existing connections into the stack, and write their desired state.

An import may be interrupted at any moment, since each step leaves a consistent state:

1. Write the desired state, into one file or several, each connection with its id: `pulumi up`, or the same
   import again, completes it.
2. Import into the stack's state, which Pulumi writes once, at the end.
3. Check that the plan is empty; otherwise undo all, first the state and then the files.
4. Write the desired state again without the ids, which the state holds now, so that a connection that is
   deleted in Codat later can be created again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi.dynamic.dynamic import serialize_provider

from codat_iac import desired
from codat_iac.codat.client import Reader
from codat_iac.desired import yaml_writer
from codat_iac.model import properties
from codat_iac.model.connection import (
    RESOURCE_TYPE,
    Address,
    DesiredConnection,
    LiveConnection,
    PriorConnection,
    normalised,
)
from codat_iac.model.errors import CodatIacError, ConfigError
from codat_iac.model.record import STACK, recorded, resources
from codat_iac.model.record import connections as ours
from codat_iac.model.settings import Settings
from codat_iac.model.shard import Shard
from codat_iac.model.text import join_names
from codat_iac.planning import rule_table
from codat_iac.planning.matching import of_shard
from codat_iac.provider import ConnectionProvider
from codat_iac.reconcile.companies.binding import usable_matches
from codat_iac.reconcile.companies.finding import find_companies
from codat_iac.reconcile.companies.tenant_readings import decided
from codat_iac.reconcile.planner import Planner
from codat_iac.stack.atomic_write import temporary_file
from codat_iac.stack.importing.discovery import Found
from codat_iac.stack.importing.draft import Draft, Skipped, draft, exported, ignored_companies
from codat_iac.stack.importing.target_file import Page, alone_in, by_file, check_target
from codat_iac.stack.running.event_log import DONE, event_log, step
from codat_iac.stack.stack import Stack, StackLocked

DEFAULT_FILE = "imported.yaml"
"""The name of the new file if the desired state is a folder."""

EXPORT_TITLE = (
    "Written by `codat-iac export`. Each connection is named by its `connectionId`: no state is needed, and",
    "none is ever made. Once a stack has them take the ids out, so that what is deleted can be made again.",
)

OWN_TYPES = frozenset({STACK, "pulumi:providers:pulumi-python"})
"""The types of resources that the engine adds to an empty stack by itself."""


class ImportFailed(CodatIacError):
    """The import failed and was undone, unless the message says what is left and how to go on."""


def export(
    found: Found, declared: Sequence[DesiredConnection] = (), state: Mapping[str, Any] | None = None
) -> tuple[str, tuple[Skipped, ...]]:
    """Return the connections in *found* as the text of a desired state, and those that can't be in it.

    Connections that have an address in *declared* or *state* keep it. Nothing is written.
    """
    connections, skipped, names = exported(found, declared, recorded(state or {}))
    return yaml_writer.dump(connections, names, title=EXPORT_TITLE), skipped


def import_into(  # noqa: PLR0913  what the command is told
    stack: Stack,
    client: Reader,
    settings: Settings,
    found: Found,
    desired_path: Path,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    new: bool = False,
    match_by: str | None = None,
    files_only: bool = False,
    unlinked: bool = True,
    confirm: Callable[[Draft], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Draft:
    """Import the connections in *found* into *stack*, and write those that aren't declared yet to *out*.

    All in *found* is of the stack's shard, if it has one. *desired_path* is the desired state that the
    stack's program reads: *out* must be that file, or lie in that folder. An existing file is only written
    with *overwrite*; all that stands in it stays. With *new*, existing files may be written, what the policy
    ignores is left alone, and unless *out* is given the connections of a company go to the file that declares
    it. *match_by*, a tag such as `tag:customerId` or `name`, names new companies by that in place of their
    ids, where it can. With *files_only* the stack stays as it is, and each new connection keeps its
    `connectionId`, by which an apply takes it up. What is *unlinked* can be left alone unless it is declared.
    *confirm* gets the draft before anything is done, and may raise; *tell* gets the steps. Imports into one
    folder come one after the other: those of shards share files.

    Raises `ConfigError` if *out* doesn't fit, and `ImportFailed` if the import had to be undone.
    """
    with alone_in(desired_path if desired_path.is_dir() else desired_path.parent, tell):
        before = stack.export()
        prior = recorded(before)
        said = _found(desired.load_state(desired_path, required=False), prior, client, settings.shard)
        ignored = ignored_companies(found, said.unmanaged) if new else ()
        drafted = draft(found, said.connections, prior, said.company_keys, ignored, unlinked=unlinked)
        named_by = {each.id: each.match for each in said.companies if each.id}
        if match_by:
            named_by = _named_by(match_by, drafted, client, tell) | named_by
        drafted = dataclasses.replace(drafted, matched_by=named_by)
        target = out or (desired_path / DEFAULT_FILE if desired_path.is_dir() else desired_path)
        added = by_file(drafted.undeclared, said.companies if new and out is None else (), target)
        for path in added:
            check_target(path, desired_path, overwrite=overwrite or new)
        confirm(drafted)
        if drafted.arrivals:
            pages = {Page(path): connections for path, connections in added.items()}
            declared = of_shard(said.connections, settings.shard)
            attempt = _Import(stack, client, settings, desired_path, pages, drafted, before, declared)
            drafted = dataclasses.replace(drafted, left=attempt.run(tell, files_only=files_only))
        return drafted


def _found(
    state: desired.DesiredState,
    recorded: Sequence[PriorConnection],
    client: Reader,
    shard: Shard | None,
) -> desired.DesiredState:
    """Look up the companies that *state* names by their own keys."""
    found = find_companies(state.declaration, lambda: recorded, lambda: client, shard)
    return state.resolved(found.connections, found.company_ids)


def _named_by(match_by: str, drafted: Draft, client: Reader, tell: Callable[[str], None]) -> dict[str, str]:
    """Return the match by which to name each company, by its id; say which of the draft keep their ids."""
    matches = decided(client, lambda companies: usable_matches(match_by, companies))
    by_id = {each.company_id for each in drafted.undeclared} - matches.keys()
    for company_id in sorted(by_id):
        tell(f"{company_id} is written by its id: its {match_by} is missing, or not its alone")
    return {company_id: str(match) for company_id, match in matches.items()}


@dataclass
class _Import:
    """One attempt, with the data needed to undo it."""

    stack: Stack
    client: Reader
    settings: Settings
    desired_path: Path
    pages: Mapping[Page, Sequence[DesiredConnection]]
    """The files to write, each with what is added to it."""
    draft: Draft
    before: Mapping[str, Any]
    declared: Sequence[DesiredConnection]
    recorded: set[str] | None = dataclasses.field(default_factory=set)
    """The URNs that Pulumi recorded in this attempt; None if nobody knows."""

    def run(self, tell: Callable[[str], None], *, files_only: bool) -> int:
        """Do the whole import, or what concerns the files, or undo it and raise.

        Returns how much the plan had to do before, and has to do after it.
        """
        try:
            for page, added in self.pages.items():
                tell(f"writing {page.path}")
                page.write(added, self.draft.names)
            program = self._program()
            if files_only:
                return 0
            tell(f"importing into the stack: {len(self.draft.arrivals):,}")
            self._import(program)
            self._protect(program)
            tell("proving that the plan is empty")
            left = self._prove(program)
        except BaseException as error:
            self._undo(error)
            if isinstance(error, CodatIacError):
                raise ImportFailed(f"nothing was imported: {error}") from error
            raise
        self._take_ids_out()
        return left

    def _take_ids_out(self) -> None:
        """Write each file again without the new ids, also if another one can't be written."""
        errors = []
        for page, added in self.pages.items():
            try:
                page.write([_without_id(each) for each in added], self.draft.names)
            except ConfigError as error:
                errors.append(error)
        if errors:
            self._check_declared(errors[0])
            raise ImportFailed(
                f"all is imported, but {'; '.join(map(str, errors))}; take the new `connectionId`s out of it,"
                " so that a connection that is deleted can be made again"
            ) from errors[0]

    def _check_declared(self, error: ConfigError) -> None:
        """Undo what was recorded, if a file that was changed meanwhile lost it: an apply would remove it.

        Raises `ImportFailed` then.
        """
        try:
            self._program()
        except CodatIacError as lost:
            self._remove_imported()
            raise ImportFailed(f"nothing was imported: {error} ({lost}); run the import again") from lost

    def _program(self) -> dict[Address, DesiredConnection]:
        """Load what the program is going to declare, by address. Raises `ConfigError`."""
        shard = self.settings.shard
        said = _found(desired.load_state(self.desired_path), recorded(self.before), self.client, shard)
        program = {each.address: each for each in of_shard(said.connections, shard)}
        if lost := [each.address for each in self.draft.arrivals if each.address not in program]:
            raise ConfigError(f"the desired state lacks {join_names(sorted(lost))}, which was just written")
        new = [each.address for each in self.draft.undeclared]
        return program | {address: _without_id(program[address]) for address in new}

    def _import(self, program: Mapping[Address, DesiredConnection]) -> None:
        """Let Pulumi record the arrivals. It saves the state once, at the end."""
        provider = {"__provider": serialize_provider(ConnectionProvider())}
        arrivals = [
            {
                "type": RESOURCE_TYPE,
                "name": arrival.address,
                "id": arrival.live.id,
                "inputs": properties.inputs(program[arrival.address]) | provider,
                "outputs": _outputs(program[arrival.address], arrival.live) | provider,
            }
            for arrival in self.draft.arrivals
        ]
        with temporary_file(json.dumps({"resources": arrivals})) as file, event_log() as events:
            self.recorded = None
            try:
                self.stack.pulumi(
                    "import",
                    "--yes",
                    f"--file={file}",
                    "--generate-code=false",
                    "--protect=false",
                    "--skip-preview",
                    "--suppress-progress",
                    environment={
                        "PULUMI_EXPERIMENTAL": "true",
                        "PULUMI_SKIP_CHECKPOINTS": "true",
                        # The state may hold an old key, and `pulumi import` believes it.
                        "CODAT_API_KEY": self.settings.api_key,
                        "CODAT_BASE_URL": self.settings.base_url,
                        **events.environment,
                    },
                )
            except StackLocked:
                self.recorded = set()
                raise
            finally:
                # What another import recorded meanwhile is no `import` here, and stays if this is undone.
                done = [step(event, DONE) for event in events.new()]
                if events.complete:
                    self.recorded = {each["urn"] for each in done if each.get("op") == "import"}

    def _protect(self, program: Mapping[Address, DesiredConnection]) -> None:
        """Protect in the state what the program protects, which otherwise the next `pulumi up` would do."""
        wanted = {arrival.address for arrival in self.draft.arrivals if program[arrival.address].protect}
        if wanted:
            urns = [resource["urn"] for resource in ours(self.stack.export()) if _address(resource) in wanted]
            self.stack.pulumi("state", "protect", "--yes", *urns)

    def _prove(self, program: Mapping[Address, DesiredConnection]) -> int:
        """Raise `ImportFailed` if the state isn't as intended, or the plan has new changes or problems.

        Returns how many it has that aren't new.
        """
        after = self.stack.export()
        places: dict[str, list[str]] = {}
        for resource in ours(after):
            places.setdefault(normalised(resource["id"]), []).append(_address(resource))
        for arrival in self.draft.arrivals:
            at = places.get(arrival.live.id, [])
            if at != [arrival.address]:
                raise ImportFailed(
                    f"connection {arrival.live.id} is recorded as {join_names(at) or 'nothing'} and not as"
                    f" {arrival.address} alone; somebody else changed the stack meanwhile, so try again"
                )
        left = self._plan(after, program.values())
        if left and (new := left - self._plan(self.before, self.declared)):
            raise ImportFailed(f"the plan afterwards would not be empty: {join_names(sorted(new))}")
        return len(left)

    def _plan(self, state: Mapping[str, Any], declared: Iterable[DesiredConnection]) -> set[str]:
        """Return the changes and problems of a plan for *state*, in words."""
        plan = Planner(self.client, self.settings, recorded(state)).plan(tuple(declared))
        changes = {
            f"{each.address}: {each.action}, {each.status} by now"
            + (", with a new connection" if each.posts else "")
            for each in plan.changes
        }
        return changes | {problem.text for problem in plan.problems}

    def _undo(self, error: BaseException) -> None:
        """Remove the import from the state, then restore the files. Raises `ImportFailed` if that fails.

        The order matters: without the files, the next `pulumi up` would unlink what the state holds.
        """
        what = "the state"
        try:
            self._remove_imported()
            what = "the file"
            self._restore()
        except CodatIacError as second:
            raise ImportFailed(
                f"{str(error) or type(error).__name__}; and {what} can't be put back ({second}). The"
                " desired state names what was found by its ids: `pulumi up`, or the same import again,"
                " completes it"
            ) from error

    def _restore(self) -> None:
        """Restore every file that can be. Raises the first `ConfigError`."""
        errors = []
        for page in self.pages:
            try:
                page.restore()
            except ConfigError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _remove_imported(self) -> None:
        """Remove the imported connections from the state; keep what others did to the stack meanwhile."""
        now = self.stack.export()
        there = {resource["urn"] for resource in resources(self.before)}
        mine = {(arrival.address, arrival.live.id) for arrival in self.draft.arrivals}

        def came_in(resource: Mapping[str, Any]) -> bool:
            urn = resource["urn"]
            by_this = self.recorded is None or urn in self.recorded
            return by_this and urn not in there and (_address(resource), resource.get("id")) in mine

        kept = [resource for resource in resources(now) if not came_in(resource)]
        if len(kept) == len(resources(now)):
            return
        if not there and all(resource["type"] in OWN_TYPES for resource in kept):
            kept = []
        state = {**now, "deployment": {**now["deployment"], "resources": kept}}
        with temporary_file(json.dumps(state)) as file:
            self.stack.pulumi("stack", "import", f"--file={file}")


def _address(resource: Mapping[str, Any]) -> str:
    return str(resource["urn"].partition(f"::{RESOURCE_TYPE}::")[2])


def _outputs(desired: DesiredConnection, live: LiveConnection) -> dict[str, Any]:
    refused = rule_table.refused_unlink(desired.status, live)
    return properties.outputs(desired, live.id, live, unlink_refused=refused)


def _without_id(connection: DesiredConnection) -> DesiredConnection:
    return dataclasses.replace(connection, connection_id=None)
