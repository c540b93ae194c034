"""Run the stock program."""

from codat_iac.program import main

main()
