"""The command line's door to Pulumi: a project's stack, its state, and what is done to it."""
