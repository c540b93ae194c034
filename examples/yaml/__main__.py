"""Declare the connections of the desired state that the config `codat:desired` names."""

from codat_iac.program import main

main()
