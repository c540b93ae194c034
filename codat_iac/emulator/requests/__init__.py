"""What a request meets before its work is done: limits, faults, idempotency, the log."""
