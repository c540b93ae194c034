"""Move connections between the stacks that share a desired state."""
