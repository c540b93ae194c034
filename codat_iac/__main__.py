"""Where the command line begins, also as `python -m codat_iac`: an interrupt may come this early."""

import contextlib
import gc
import os
import sys


def main() -> None:
    """Run the command line and exit."""
    gc.set_threshold(
        50_000
    )  # thousands of connections are no cycles, and looking for them takes a fifth of the time
    try:
        from codat_iac.cli import main as run  # noqa: PLC0415  this is what may be interrupted

        run()
    except KeyboardInterrupt:  # while it began, or as it ended
        with contextlib.suppress(OSError):  # stderr may be closed or full
            os.write(2, b"codat-iac: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder, where a project may have a random.py of its own
    main()
