"""Read Codat and write to it: ask `planning` for decisions and carry them out.

```
planner       plans for the command line                                        command line
preview       what each hook reads and decides; `operations`: what it writes    provider's host
create_once   makes exactly one connection                                      provider's host
run_state     what one host learns, hook by hook; `losses`: of those            provider's host
losses_ahead  what a run would lose, or can't remove, before it declares        Pulumi program
companies     which companies matches and rules mean                            command line, program
snapshot      what one process has read of the tenant                           all three
handover      what an apply tells the host that its run starts                  command line, host
```
"""
