"""The commands: one module for each, of its name."""
