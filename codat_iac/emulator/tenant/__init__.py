"""The state of an emulated Codat: companies, connections, platforms, links and knobs."""
