"""The parts of `codat-iac init`.

```
steps      what is done, each step only where its result isn't there yet
answers    what the user wants: from flags, the environment, the folder, or asked
overview   what a tenant has
questions  how a person is asked
```
"""
