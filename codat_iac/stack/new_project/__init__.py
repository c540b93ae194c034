"""Lay out a new Pulumi project whose program declares a desired-state file: for `codat-iac init`.

```
files       the text of each file, and the order in which they are written
existing    what is there already, and whether it contradicts what is needed
recipes     recipes for CI, as the package brings them
virtualenv  the Python that Pulumi starts
```

Each step does nothing where its result is there already, so that whoever breaks off may start again.
"""
