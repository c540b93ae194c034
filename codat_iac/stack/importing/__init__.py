"""From what a tenant has to what is declared: into a stack, or into a file alone."""
