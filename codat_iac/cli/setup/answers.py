"""What a new project is to be: from flags, the environment, what the folder says already, or asked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import click

from codat_iac.cli.session import Session
from codat_iac.cli.setup.overview import overview
from codat_iac.cli.setup.questions import Questions
from codat_iac.model import settings
from codat_iac.model.errors import CodatIacError, ConfigError
from codat_iac.model.text import without_passwords
from codat_iac.stack.importing.addresses import slug
from codat_iac.stack.importing.discovery import Filters, Found, find
from codat_iac.stack.new_project.existing import Existing
from codat_iac.stack.new_project.files import LOCAL_BACKEND, LOCAL_STATE
from codat_iac.stack.new_project.recipes import FORGES, check_place, manual, recipes
from codat_iac.stack.project import BACKEND, misread
from codat_iac.stack.stack import PASSPHRASE, Stack, StackError

KEY = "CODAT_API_KEY"
BASE_URL = "CODAT_BASE_URL"

STACK = "dev"
"""The name of a stack, as `pulumi new` proposes it."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_HERE = "here"
_NONE = "none"
_ALL = "all"


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; None or empty where it says nothing. `nothing`: import nothing."""

    name: str | None = None
    stack: str | None = None
    base_url: str | None = None
    backend: str | None = None
    local: bool = False
    secrets_provider: str | None = None
    key_in_config: bool = False
    forge: str | None = None
    companies: Sequence[str] = ()
    everything: bool = False
    nothing: bool = False

    def check(self) -> None:
        """Raise `ConfigError` for flags that contradict each other."""
        if [self.everything, bool(self.companies), self.nothing].count(True) > 1:
            raise ConfigError("--all, --company and --no-import exclude each other; give one of them")
        if self.backend and self.local:
            raise ConfigError("--local is a backend of its own; leave out --backend, or --local")


@dataclass(frozen=True, slots=True)
class Answers:
    """All that the user wants. `backend` and `base_url` are empty if Pulumi.yaml need not say them.

    `recipes` are the files of a recipe for CI, and `manual` is the page that says what it needs. `imported`
    are the filters of the import, None for no import; `tenant` is all that was found.
    """

    name: str
    stack: str
    backend: str
    base_url: str
    secrets_provider: str | None
    key_in_config: bool
    recipes: Mapping[str, str]
    manual: str
    imported: Filters | None
    tenant: Found


@dataclass
class Interview:
    """Finds out what the user wants. Secrets go into this process's environment, and nowhere else."""

    flags: Flags
    existing: Existing
    pulumi_path: Path
    questions: Questions
    _url: str = field(default="", init=False)
    """The backend that this run is going to have, if it is known."""

    def answers(self) -> Answers:
        """Return what the user wants. The key is tried, and the tenant shown, before more is asked.

        Raises `ConfigError` for what is wrong or, with nobody to ask, lacking; `ApiError` for a wrong key.
        """
        self.flags.check()
        base_url = self._base_url()
        self._take_key()
        if self.questions.asks:
            _ = self.tenant
        name = self._name()
        backend = self._backend()
        stack = self.flags.stack or self.questions.text("The stack's name", self._selected())
        self._take_passphrase(stack)
        self.questions.require()
        key_in_config, forge = self._key_in_config(stack), self._forge()
        return Answers(
            name=name,
            stack=stack,
            backend=backend,
            base_url=base_url,
            secrets_provider=self.flags.secrets_provider,
            tenant=self.tenant,
            key_in_config=key_in_config,
            recipes=recipes(forge) if forge else {},
            manual=manual(forge) if forge else "",
            imported=self._imported(),
        )

    @cached_property
    def tenant(self) -> Found:
        """All that the tenant has, which is shown. Raises `ApiError` if the key, or the URL, doesn't fit."""
        session = Session(self.existing.folder, stateless=True)
        found = find(session.reader, Filters())
        names = {each.key: each.name for each in session.reader.integrations()}
        click.echo(f"{session.settings.base_url} takes the API key. The tenant has:", err=True)
        click.echo(overview(found.companies, tuple(found), names), err=True)
        return found

    def _selected(self) -> str:
        """Return the stack that is selected in a project that exists, or else our own default."""
        try:
            return Stack.open(self.existing.folder).short_name if self.existing.is_project else STACK
        except CodatIacError:
            return STACK

    def _base_url(self) -> str:
        """Set the base URL for this process, and return it if Pulumi.yaml is to say it."""
        given = settings.check_base_url(self.flags.base_url) if self.flags.base_url else ""
        if url := given or os.environ.get(BASE_URL) or self.existing.base_url:
            os.environ[BASE_URL] = url
        return "" if given == settings.BASE_URL else given

    def _take_key(self) -> None:
        if not os.environ.get(KEY, "").strip():
            question = "The API key (Codat Portal, Developers, API keys; it isn't shown)"
            os.environ[KEY] = self.questions.secret(question, f"{KEY} in the environment")

    def _name(self) -> str:
        said = self.existing.name
        proposed = slug(self.existing.folder.name) or "connections"
        name = self.flags.name or said or self.questions.text("The project's name", proposed)
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is no name for a project; use letters, digits, `-`, `_` and `.`")
        return name

    def _backend(self) -> str:
        chosen = LOCAL_BACKEND if self.flags.local else self.flags.backend or ""
        ambient = os.environ.get(BACKEND, "")
        if chosen and ambient not in {"", chosen}:
            raise ConfigError(f"{BACKEND} is another backend, which Pulumi prefers; unset it, or take that")
        self._url = chosen or ambient or self.existing.backend or self._login()
        if self._url:
            return _checked_backend(chosen, self.existing.folder)
        if not self.questions.asks:
            self.questions.lacking.append(
                f"{BACKEND} or --backend, the URL of a place for Pulumi's state, or --local for a folder here"
            )
            return ""
        click.echo("Pulumi needs a place for its state: https://api.pulumi.com, s3://, file://...", err=True)
        answer = self.questions.text(f"Its URL; `{_HERE}` is the folder {LOCAL_STATE}, to try it out", _HERE)
        self._url = _checked_backend(LOCAL_BACKEND if answer == _HERE else answer, self.existing.folder)
        return self._url

    def _login(self) -> str:
        """Return the backend that Pulumi is logged in to, empty if to none."""
        try:
            said = Stack(self.existing.folder, "", self.pulumi_path).pulumi("whoami", "--verbose", "--json")
        except StackError:
            return ""
        return str(json.loads(said)["url"])

    def _take_passphrase(self, stack: str) -> None:
        """Take the stack's passphrase, if it has or gets one."""
        config = self._config(stack)
        if self.flags.secrets_provider or "secretsprovider:" in config or self._url.startswith("https:"):
            return
        if PASSPHRASE in os.environ or f"{PASSPHRASE}_FILE" in os.environ:
            return
        os.environ[PASSPHRASE] = self.questions.secret(
            "The stack's passphrase, for its secrets; each run needs it (it isn't shown, and may be empty)",
            f"{PASSPHRASE} in the environment, which encrypts the stack's secrets and may be empty",
            confirm=not config,
        )

    def _key_in_config(self, stack: str) -> bool:
        if self.flags.key_in_config or f"{settings.NAMESPACE}:apiKey" in self._config(stack):
            return self.flags.key_in_config
        question = f"Keep the API key in the stack's config, encrypted? Else set {KEY} for each run"
        return self.questions.yes(question, default=False)

    def _forge(self) -> str:
        """Return for which forge a recipe for CI is wanted, empty if for none."""
        forge = self.flags.forge
        if forge is None and not self.existing.is_project:
            forge = self.questions.text("A recipe for CI", _NONE, [*FORGES, _NONE])
        if forge is None or forge == _NONE:
            return ""
        check_place(self.existing.folder)
        return forge

    def _imported(self) -> Filters | None:
        if self.flags.nothing or not any(self.tenant):
            return None
        if self.flags.companies or self.flags.everything:
            return Filters(tuple(self.flags.companies))
        answer = self.questions.text(f"Import: {_ALL}, {_NONE}, or a company's name or id", _ALL)
        return None if answer == _NONE else Filters(() if answer == _ALL else (answer,))

    def _config(self, stack: str) -> str:
        """Return the text of the stack's config, empty if there is none."""
        file = self.existing.folder / f"Pulumi.{stack.rpartition('/')[2]}.yaml"
        return file.read_text("utf-8", "replace") if file.is_file() else ""


def _checked_backend(url: str, folder: Path) -> str:
    """Return *url*, which Pulumi.yaml in *folder* is to say.

    Raises `ConfigError` if it is none, holds a password, or would mean another folder there.
    """
    if url.startswith("file://.") and (odd := misread(folder)):
        raise ConfigError(
            f"{folder}: Pulumi can't keep its state in a folder whose path has a {odd}; take another folder"
            " for the project, or another --backend"
        )
    if url and "://" not in url:
        raise ConfigError("the backend is no URL, such as https://api.pulumi.com, s3://... or file://...")
    if without_passwords(url) != url:
        raise ConfigError(
            f"the backend's URL holds a password, which git would take in Pulumi.yaml; set {BACKEND} to it"
        )
    return url
