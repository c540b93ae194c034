"""The package, built and installed as a user would: `make package`."""
