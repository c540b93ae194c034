"""Run Pulumi on a program, and hear what it does or would do.

```
pulumi_command  `pulumi up` of a program in this process, and how an interrupt reaches it
own_program     what a stack's own program declares, by a preview
event_log       what the engine tells meanwhile
```
"""
