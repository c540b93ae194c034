"""Decide what to do, from what is declared, recorded and live. Pure: no I/O, no clock, no threads."""
