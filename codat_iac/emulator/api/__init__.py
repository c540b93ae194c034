"""Codat's own routes: companies, connections and integrations, with queries and pages."""
