"""What an emulated Codat has: companies, connections, platforms, links, and its open points."""
