"""Helpers that tests of several kinds share: builders, servers, projects and worlds."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The checkout."""
