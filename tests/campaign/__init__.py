"""The proof under faults: seeded campaigns that `make faults` runs whole, and `make test` in a shorter cut.

```
operations   random desired states and edits, every fault and every knob, against the operations layer
machine      the same through the real engine
crashes      kill -9 at seeded moments: the provider, `pulumi up`, `codat-iac apply`
files        rubbish as a desired state
answers      rubbish as an answer of Codat's
limits       the pace of the largest runs, measured at the emulator
```

Each is a function `campaign(runs, seed, tell)`: it tells its table line by line and gives what broke a
promise, each with the seed that shows it again.
"""
