"""Import a tenant's connections into a stack, or export them to a desired-state file."""
