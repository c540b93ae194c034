"""Declares what the file named by the config `codat:desired` says."""

from codat_iac.program import main

main()
