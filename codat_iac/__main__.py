"""Where the command line begins, also as `python -m codat_iac`: an interrupt may come this early."""

import sys


def main() -> None:
    """Run the command line and exit."""
    try:
        from codat_iac.cli import main as run  # noqa: PLC0415  this is what may be interrupted
    except KeyboardInterrupt:
        sys.stderr.write("codat-iac: interrupted before it began\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
