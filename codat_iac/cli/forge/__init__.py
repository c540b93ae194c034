"""What a run in CI does at its forge, GitHub or GitLab: comment, keep an issue, propose files, get the plan.

```
api                 JSON over HTTP, and errors that say what to do
forge               what each forge can do, and what is made of that
github  gitlab      the two forges
```

Each of our comments, issues and proposals is found again by a mark in its text, so there is one of each.
"""
