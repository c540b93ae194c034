"""The types and errors that all packages use, and the readers of Pulumi's recorded state. Pure."""
