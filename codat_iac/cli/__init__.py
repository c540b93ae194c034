"""The command line: parse the arguments, call the package, return an exit code.

```
__init__            the commands' names, their errors and exit codes
commands            the commands, one module for each
connection_filters  --company, --tag, --platform, --status, --all
options             the other options that several commands share
forge               GitHub and GitLab, for `ci`
output              write a result, ask, choose the exit code
render              show a result as text, JSON, Markdown, HTML, CSV
session             what a command works on: a stack, a desired state, a client
setup               what `init` asks a person, and shows of a tenant
streams             stdin, stdout and stderr, whatever they are
tenant_coverage     the whole tenant, for plan and coverage
```

Results go to stdout, everything else to stderr. An error is one line; a usage error exits with 1, Ctrl-C
with 130. A result that can't be written is an error, unless it tells of work that is done: then the exit code
says what was done. A command's module, and any module that is slow to import, is imported only when a command
needs it.
"""

from __future__ import annotations

import importlib
import keyword
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence

import click

from codat_iac.cli import streams
from codat_iac.model.errors import CodatIacError, ExitCode, UnsafePlan
from codat_iac.model.version import __version__

DEBUG = "--debug"

INTERRUPTED = 130

COMMANDS: Mapping[str, str] = {
    "init": "Start a project: try the key, write files, import what exists.",
    "validate": "Check a desired state; with --online, against the tenant too.",
    "plan": "Show what an apply will do, and what waits for a customer.",
    "show": "Show a saved plan again, in another format.",
    "apply": "Show the plan, ask, and carry it out through Pulumi.",
    "coverage": "Show how much of the tenant is managed, and what isn't.",
    "drift": "Show what somebody else moved since it was recorded.",
    "links": "List what waits for a customer, each with a fresh link.",
    "import": "Bring connections that exist into the stack and the file.",
    "export": "Write the desired state of connections that exist.",
    "reshard": "Move connections between the stacks that share a desired state.",
    "ci": "In CI: comment on pull requests, keep an issue, propose files.",
    "emulator": "Run an emulated Codat on this machine, until Ctrl-C.",
    "engine": "Get the Pulumi engine, and print where it is.",
    "doctor": "Find what breaks a run here, and say what to do about it.",
}
"""Each command's line in the help, which needs no import that way."""


def module_name(command: str) -> str:
    """Return the name of the module of a command; `import` would be a keyword."""
    return f"{command}_" if keyword.iskeyword(command) else command


class _Commands(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"codat_iac.cli.commands.{module_name(cmd_name)}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option(DEBUG, is_flag=True, help="Show the traceback of an error; goes anywhere in the line.")
def command(debug: bool) -> None:
    """Codat connections as code, on Pulumi.

    Run it in a Pulumi project; CODAT_API_KEY names the tenant. `codat-iac COMMAND --help` says more.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    streams.prepare()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # they are for developers
    # A shell makes background jobs ignore SIGINT; undo that, as `pulumi` does.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    code = run(sys.argv[1:] if arguments is None else arguments)
    _end_at_once_if_signalled()
    sys.exit(code)


def _end_at_once_if_signalled() -> None:
    """Let a signal end this process without a word: all is told, and it waits only for threads that read."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.default_int_handler:
            signal.signal(number, lambda *_: os._exit(INTERRUPTED))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; an error is printed to stderr."""
    plain = [argument for argument in arguments if argument != DEBUG]
    debug = len(plain) < len(arguments)
    try:
        return command.main(plain, "codat-iac", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "codat-iac"
        streams.tell(f"{error.format_message().rstrip('.')}; see `{path} --help`")
    except (click.Abort, KeyboardInterrupt):
        _end_at_once_if_signalled()
        streams.tell("interrupted; run again for what isn't done")
        return INTERRUPTED
    except CodatIacError as error:
        if debug:
            traceback.print_exc()
        else:
            streams.tell(str(error))
        return ExitCode.REFUSED if isinstance(error, UnsafePlan) else ExitCode.ERROR
    except Exception as error:  # noqa: BLE001  a user sees a traceback only with --debug
        if debug:
            traceback.print_exc()
        else:
            streams.tell(_unforeseen(error))
    return ExitCode.ERROR


def _unforeseen(error: Exception) -> str:
    """Return the line for an error that no command foresaw: the system's, such as a full disk, or a bug."""
    if not isinstance(error, OSError) or not error.strerror:
        return f"a bug, please report it with the output of --debug: {type(error).__name__}: {error}"
    try:
        here = os.getcwd()  # noqa: PTH109  to know whether it is there
    except OSError:
        here = ""
    place = error.filename or ("the system" if here else "the current folder")
    return f"{place}: {error.strerror}; see to that, and run again"
