"""Codat's API over HTTP: the calls, their limits, and Codat's JSON as the words of `model`."""
