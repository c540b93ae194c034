"""Seeded campaigns that test the promises under faults: `make faults` runs them in full, `make test` briefly.

```
operations   random desired states and edits, every fault and every knob, against the operations layer
machine      the same through the real engine
living       a team at work for an hour on a tenant that changes every second
crashes      kill -9 at seeded moments: the provider, `pulumi up`, `codat-iac apply`
files        malformed desired-state files
answers      malformed answers of Codat
limits       the request rate of the largest runs, measured at the emulator
disks        the disk under the state becomes read-only, or is full
```

Each is a function `campaign(runs, seed, tell)`: it passes its table line by line to *tell*, and returns the
violations of promises, each with the seed that reproduces it.
"""
