"""Codat's API over HTTP: the calls, their limits, and the parsing of Codat's JSON."""
