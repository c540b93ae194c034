"""The words that all rooms use: connections, errors, settings, and what Pulumi has recorded. Pure."""
