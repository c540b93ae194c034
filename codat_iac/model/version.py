"""The version of the package, the command line and the `User-Agent` header."""

__version__ = "0.1.0"
