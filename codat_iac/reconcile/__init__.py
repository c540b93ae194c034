"""Read Codat and write to it: ask `planning` for decisions and carry them out."""
