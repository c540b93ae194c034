"""Drive Pulumi for the command line: a project's stack and state, applying a plan, importing."""
