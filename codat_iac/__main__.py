"""`python -m codat_iac` is the command line."""

from codat_iac.cli import main

main()
