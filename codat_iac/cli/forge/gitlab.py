"""GitLab, in a job of GitLab CI.

Sources: https://docs.gitlab.com/ci/variables/predefined_variables and https://docs.gitlab.com/api/rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from codat_iac.cli.forge.api import Api, ForgeError
from codat_iac.cli.forge.forge import LABEL, PLAN_FILE, Text
from codat_iac.model.errors import ConfigError


class GitLab:
    """The project of this job. *environment* is the process's."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        for name in ("GITLAB_TOKEN", "CI_API_V4_URL", "CI_PROJECT_ID", "CI_COMMIT_SHA"):
            if not environment.get(name):
                raise ConfigError(
                    f"{name} isn't set; make a project access token with the scope `api`, and a masked"
                    " variable GITLAB_TOKEN of it"
                )
        self._project = environment["CI_PROJECT_ID"]
        self._sha = environment["CI_COMMIT_SHA"]
        self._merge_request = environment.get("CI_MERGE_REQUEST_IID", "")
        self._base = environment.get("CI_DEFAULT_BRANCH") or "main"
        url = f"{environment['CI_API_V4_URL']}/projects/{self._project}"
        headers = {"PRIVATE-TOKEN": environment["GITLAB_TOKEN"]}
        self._api = Api(url, headers, "the token GITLAB_TOKEN needs the scope `api` and the role Developer")

    def comments(self) -> Iterator[Text]:
        """Iterate over the notes of the merge request that this pipeline is for."""
        for row in self._api.rows(self._notes, sort="asc"):
            yield Text(row["id"], row.get("body") or "")

    def add_comment(self, body: str) -> None:
        """Comment on it."""
        self._api.call("POST", self._notes, {"body": body})

    def change_comment(self, number: int, body: str) -> None:
        """Replace the text of a note."""
        self._api.call("PUT", f"{self._notes}/{number}", {"body": body})

    def issues(self) -> Iterator[Text]:
        """Iterate over the open issues with our label."""
        for row in self._api.rows("issues", state="opened", labels=LABEL):
            yield Text(row["iid"], row.get("description") or "")

    def open_issue(self, title: str, body: str) -> None:
        """Open an issue with our label."""
        self._api.call("POST", "issues", {"title": title, "description": body, "labels": LABEL})

    def change_issue(self, number: int, body: str) -> None:
        """Replace the text of an issue."""
        self._api.call("PUT", f"issues/{number}", {"description": body})

    def close_issue(self, number: int, last_word: str) -> None:
        """Comment on an issue, and close it."""
        self._api.call("POST", f"issues/{number}/notes", {"body": last_word})
        self._api.call("PUT", f"issues/{number}", {"state_event": "close"})

    def reviewed_plan(self, name: str) -> bytes:
        """Return the plan that the newest job *name* made for the head of the merged merge request.

        A fork's pipeline is its own project's, so only ours count.
        """
        asked = self._api.rows(f"repository/commits/{self._sha}/merge_requests")
        ends = ("merge_commit_sha", "squash_commit_sha", "sha")
        merged = [
            row for row in asked if row["state"] == "merged" and self._sha in {row.get(end) for end in ends}
        ]
        if not merged:
            raise ForgeError(
                f"no merged merge request brought {self._sha}, so nobody reviewed a plan for it; open one, or"
                " run `codat-iac apply` yourself"
            )
        for request in merged:
            for pipeline in self._api.rows(f"merge_requests/{request['iid']}/pipelines"):
                if str(pipeline["project_id"]) != self._project or pipeline["sha"] != request["sha"]:
                    continue
                for job in self._api.rows(f"pipelines/{pipeline['id']}/jobs", scope="success"):
                    if job["name"] == name:
                        return self._api.download(f"jobs/{job['id']}/artifacts/{PLAN_FILE}")
        raise ForgeError(
            f"no job {name} succeeded for {merged[0]['sha']}, the head that was merged; open a merge request"
            " that plans anew, or run `codat-iac apply` yourself"
        )

    def commit(self, branch: str, message: str, files: Mapping[str, bytes]) -> None:
        """Make *branch* this job's commit and one more."""
        known = {path for path in files if self._is_known(path)}
        actions = [
            {
                "action": "update" if path in known else "create",
                "file_path": path,
                "content": content.decode(),
            }
            for path, content in sorted(files.items())
        ]
        made = {
            "branch": branch,
            "start_sha": self._sha,
            "force": True,
            "commit_message": message,
            "actions": actions,
        }
        self._api.call("POST", "repository/commits", made)

    def propose(self, branch: str, title: str, body: str) -> str:
        """Open a merge request of *branch* to the default branch, or change the one that is open."""
        for row in self._api.rows("merge_requests", state="opened", source_branch=branch):
            asked = {"title": title, "description": body}
            return str(self._api.call("PUT", f"merge_requests/{row['iid']}", asked)["web_url"])
        made = {"source_branch": branch, "target_branch": self._base, "title": title, "description": body}
        return str(self._api.call("POST", "merge_requests", made)["web_url"])

    @property
    def _notes(self) -> str:
        if not self._merge_request:
            raise ForgeError("this job is for no merge request; run it in merge request pipelines")
        return f"merge_requests/{self._merge_request}/notes"

    def _is_known(self, path: str) -> bool:
        folder = path.rpartition("/")[0]
        rows = self._api.rows("repository/tree", path=folder, ref=self._sha)
        return any(row["path"] == path for row in rows)
