"""On the real Pulumi engine."""
