"""The stages before a request's work: limits, faults, idempotency, the log."""
