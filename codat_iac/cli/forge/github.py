"""GitHub, in a run of GitHub Actions.

Sources: https://docs.github.com/en/actions/reference/workflows-and-actions/variables and
https://docs.github.com/en/rest.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codat_iac.cli.forge.api import Api, ForgeError, Json
from codat_iac.cli.forge.forge import LABEL, PLAN_FILE, Text
from codat_iac.model.errors import ConfigError

MOST_BYTES = 200_000_000
"""The largest plan that is unpacked."""


class GitHub:
    """The repository of this run. *environment* is the process's."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_SHA"):
            if not environment.get(name):
                raise ConfigError(
                    f"{name} isn't set; in the step's `env:`, GITHUB_TOKEN: ${{{{ github.token }}}}"
                )
        self._repository = environment["GITHUB_REPOSITORY"]
        self._sha = environment["GITHUB_SHA"]
        self._event = environment.get("GITHUB_EVENT_PATH", "")
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {environment['GITHUB_TOKEN']}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        url = environment.get("GITHUB_API_URL") or "https://api.github.com"
        self._api = Api(f"{url}/repos/{self._repository}", headers, "see the job's `permissions:`")

    def comments(self) -> Iterator[Text]:
        """Iterate over the comments of the pull request whose event this run is for."""
        for row in self._api.rows(f"issues/{self._pull_request}/comments"):
            yield Text(row["id"], row.get("body") or "")

    def add_comment(self, body: str) -> None:
        """Comment on it."""
        self._api.call("POST", f"issues/{self._pull_request}/comments", {"body": body})

    def change_comment(self, number: int, body: str) -> None:
        """Replace the text of a comment."""
        self._api.call("PATCH", f"issues/comments/{number}", {"body": body})

    def issues(self) -> Iterator[Text]:
        """Iterate over the open issues with our label; the list has pull requests too."""
        for row in self._api.rows("issues", state="open", labels=LABEL):
            if "pull_request" not in row:
                yield Text(row["number"], row.get("body") or "")

    def open_issue(self, title: str, body: str) -> None:
        """Open an issue with our label."""
        self._api.call("POST", "issues", {"title": title, "body": body, "labels": [LABEL]})

    def change_issue(self, number: int, body: str) -> None:
        """Replace the text of an issue."""
        self._api.call("PATCH", f"issues/{number}", {"body": body})

    def close_issue(self, number: int, last_word: str) -> None:
        """Comment on an issue, and close it."""
        self._api.call("POST", f"issues/{number}/comments", {"body": last_word})
        self._api.call("PATCH", f"issues/{number}", {"state": "closed", "state_reason": "completed"})

    def reviewed_plan(self, name: str) -> bytes:
        """Return the plan in the newest artifact *name*-SHA, of the merged pull request's head.

        A run for a fork's pull request may upload an artifact of any name, so only our repository's count.
        """
        heads = {
            row["head"]["sha"]
            for row in self._api.rows(f"commits/{self._sha}/pulls")
            if row.get("merged_at") and row.get("merge_commit_sha") == self._sha
        }
        if not heads:
            raise ForgeError(
                f"no merged pull request brought {self._sha}, so nobody reviewed a plan for it; open one,"
                " or run `codat-iac apply` yourself"
            )
        ours = [
            row
            for head in sorted(heads)
            for row in self._api.rows("actions/artifacts", "artifacts", name=f"{name}-{head}")
            if not row["expired"] and _is_ours(row.get("workflow_run"), heads)
        ]
        if not ours:
            raise ForgeError(
                f"there is no artifact {name}-{min(heads)} of the head that was merged, or it has expired;"
                " open a pull request that plans anew, or run `codat-iac apply` yourself"
            )
        newest = max(ours, key=lambda row: str(row["created_at"]))
        return _unpacked(self._api.download(f"actions/artifacts/{newest['id']}/zip"), name)

    def commit(self, branch: str, message: str, files: Mapping[str, bytes]) -> None:
        """Make *branch* this run's commit and one more. What is made through the API is signed by GitHub."""
        entries: list[Json] = []
        for path, content in sorted(files.items()):
            entries.append({"path": path, "mode": "100644", "type": "blob", "content": content.decode()})
        base = self._api.call("GET", f"git/commits/{self._sha}")["tree"]["sha"]
        tree = self._api.call("POST", "git/trees", {"base_tree": base, "tree": entries})["sha"]
        made = {"message": message, "tree": tree, "parents": [self._sha]}
        commit = self._api.call("POST", "git/commits", made)["sha"]
        name = f"refs/heads/{branch}"
        there = self._api.call("GET", f"git/matching-refs/heads/{branch}")
        if any(row["ref"] == name for row in there):
            self._api.call("PATCH", f"git/{name}", {"sha": commit, "force": True})
        else:
            self._api.call("POST", "git/refs", {"ref": name, "sha": commit})

    def propose(self, branch: str, title: str, body: str) -> str:
        """Open a pull request of *branch* to the default branch, or change the one that is open."""
        owner = self._repository.partition("/")[0]
        for row in self._api.rows("pulls", state="open", head=f"{owner}:{branch}"):
            changed = self._api.call("PATCH", f"pulls/{row['number']}", {"title": title, "body": body})
            return str(changed["html_url"])
        base = self._api.call("GET", "")["default_branch"]
        asked = {"title": title, "body": body, "head": branch, "base": base}
        return str(self._api.call("POST", "pulls", asked)["html_url"])

    @property
    def _pull_request(self) -> int:
        try:
            event = json.loads(Path(self._event).read_bytes())
            return int(event["pull_request"]["number"])
        except (OSError, ValueError, KeyError, TypeError):
            raise ForgeError("this run is for no pull request; run it `on: pull_request`") from None


def _is_ours(run: Any, heads: set[str]) -> bool:
    return (
        isinstance(run, dict)
        and run.get("head_sha") in heads
        and run.get("head_repository_id") == run.get("repository_id") is not None
    )


def _unpacked(archive: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            if opened.getinfo(PLAN_FILE).file_size > MOST_BYTES:
                raise ForgeError(f"{PLAN_FILE} in the artifact {name} has more than {MOST_BYTES:,} bytes")
            return opened.read(PLAN_FILE)
    except (zipfile.BadZipFile, KeyError):
        raise ForgeError(f"the artifact {name} holds no {PLAN_FILE}; upload the plan by that name") from None
