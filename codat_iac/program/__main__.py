"""What `main: codat_iac/program` in a Pulumi.yaml runs."""

from codat_iac.program import main

main()
