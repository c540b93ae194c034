"""What each forge can do, and what is made of that: one comment, one issue, one proposal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

LABEL = "codat-iac"
"""The label of our issues, by which they are found."""

PLAN_FILE = "plan.json"
"""The name of the plan within its artifact."""

MOST_CHARACTERS = 65_000
"""GitHub takes 65,536 in a comment, GitLab a million."""


@dataclass(frozen=True, slots=True)
class Text:
    """A comment, an issue or a proposal: its number at the forge, and its text."""

    number: int
    body: str


class Forge(Protocol):
    """A forge, in one run of its CI."""

    def comments(self) -> Iterable[Text]:
        """Iterate over the comments of the pull request that this run is for. Raises `ForgeError` if none."""

    def add_comment(self, body: str) -> None:
        """Write a comment there."""

    def change_comment(self, number: int, body: str) -> None:
        """Replace the text of a comment."""

    def issues(self) -> Iterable[Text]:
        """Iterate over the open issues that have our label."""

    def open_issue(self, title: str, body: str) -> None:
        """Open an issue with our label."""

    def change_issue(self, number: int, body: str) -> None:
        """Replace the text of an issue."""

    def close_issue(self, number: int, last_word: str) -> None:
        """Comment on an issue, and close it."""

    def reviewed_plan(self, name: str) -> bytes:
        """Return the plan that was made for the head of the merged pull request which brought this commit.

        *name* is the artifact's, at GitHub, or the job's, at GitLab. Raises `ForgeError` if there is none.
        """

    def commit(self, branch: str, message: str, files: Mapping[str, bytes]) -> None:
        """Make *branch* this run's commit and one more, in which *files* have these contents."""

    def propose(self, branch: str, title: str, body: str) -> str:
        """Open a pull request of *branch*, or change the one that is open; return its URL."""


def comment(forge: Forge, key: str, body: str, *, quiet: bool) -> str:
    """Keep one comment for *key* up to date, and return what was done.

    If *quiet*, there is nothing to say: no comment is begun, but one that is there is brought up to date.
    """
    text = _marked("plan", key, body)
    for found in forge.comments():
        if found.body.startswith(_mark("plan", key)):
            if _same(found.body, text):
                return "the comment is up to date"
            forge.change_comment(found.number, text)
            return "the comment is updated"
    if quiet:
        return "nothing to say: no comment"
    forge.add_comment(text)
    return "commented"


def keep_issue(forge: Forge, key: str, title: str, body: str | None) -> str:
    """Keep one open issue for *key* while there is something to say (*body*); return what was done."""
    mark = _mark("drift", key)
    ours = sorted(
        (each for each in forge.issues() if each.body.startswith(mark)), key=lambda each: each.number
    )
    if body is None:
        for each in ours:
            forge.close_issue(each.number, "There is no drift any more.")
        return f"closed {len(ours)}" if ours else "no drift, and no issue"
    text = _marked("drift", key, body)
    for more in ours[1:]:  # two runs at once may have opened two
        forge.close_issue(more.number, f"#{ours[0].number} says it.")
    if not ours:
        forge.open_issue(title, text)
        return "opened an issue"
    if _same(ours[0].body, text):
        return f"issue {ours[0].number} is up to date"
    forge.change_issue(ours[0].number, text)
    return f"issue {ours[0].number} is updated"


def propose(forge: Forge, branch: str, title: str, body: str, files: Mapping[str, bytes]) -> str:
    """Propose *files*, as one commit on *branch*; return the URL of the pull request."""
    forge.commit(branch, title, files)
    return forge.propose(branch, title, _shortened(body))


def _same(there: str, text: str) -> bool:
    """Whether a forge shows the same; it may trim a text, and change its line ends."""
    return there.split() == text.split()


def _mark(kind: str, key: str) -> str:
    plain = "".join(each if each.isalnum() or each in "._/-" else "_" for each in key)
    return f"<!-- codat-iac {kind} {plain} -->\n"


def _marked(kind: str, key: str, body: str) -> str:
    return _mark(kind, key) + _shortened(body)


def _shortened(body: str) -> str:
    if len(body) <= MOST_CHARACTERS:
        return body
    kept = body[:MOST_CHARACTERS].rpartition("\n")[0]
    return f"{kept}\n\n**Shortened.** The whole of it is in the artifacts of this run.\n"
