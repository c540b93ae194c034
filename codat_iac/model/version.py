"""The version: the package's, the command line's, and that of the `User-Agent`."""

__version__ = "0.1.0"
