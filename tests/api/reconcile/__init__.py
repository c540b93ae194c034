"""Against the emulated Codat, or a raw server, over HTTP."""
