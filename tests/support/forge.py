"""A small GitHub and a small GitLab, over real HTTP: what `codat-iac ci` and the recipes ask of them.

Sources: https://docs.github.com/en/rest and https://docs.gitlab.com/api/rest.
"""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Row = dict[str, Any]

TOKEN = "t0ken-0f-the-forge"  # noqa: S105  of a server of ours
HEAD = "a" * 40
MERGE = "b" * 40


@dataclass
class FakeForge:
    """Both forges, of one repository with pull request 7; the answers in `broken` come first, once each."""

    url: str = ""
    comments: list[Row] = field(default_factory=list)
    issues: list[Row] = field(default_factory=list)
    pulls: list[Row] = field(default_factory=list)
    merged: list[Row] = field(default_factory=list)
    artifacts: list[Row] = field(default_factory=list)
    archives: dict[int, bytes] = field(default_factory=dict)
    pipelines: list[Row] = field(default_factory=list)
    jobs: dict[int, list[Row]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    branches: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    broken: list[tuple[int, bytes]] = field(default_factory=list)
    _trees: dict[str, dict[str, str]] = field(default_factory=dict)
    _last: int = 1000

    def number(self) -> int:
        """Return a number that nothing has."""
        self._last += 1
        return self._last

    def github_environment(self, folder: Path) -> dict[str, str]:
        """Return what GitHub Actions sets in a run for the pull request."""
        event = folder / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": 7, "head": {"sha": HEAD}}}))
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.url,
            "GITHUB_REPOSITORY": "acme/codat",
            "GITHUB_SHA": MERGE,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "GITHUB_TOKEN": TOKEN,
        }

    def gitlab_environment(self) -> dict[str, str]:
        """Return what GitLab CI sets in a job of the merge request's pipeline."""
        return {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": self.url,
            "CI_PROJECT_ID": "42",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_COMMIT_SHA": MERGE,
            "CI_DEFAULT_BRANCH": "main",
            "GITLAB_TOKEN": TOKEN,
        }

    def review(
        self, plan: bytes, *, fork: bool = False, expired: bool = False, created: str = "2026"
    ) -> None:
        """Merge the pull request, whose last commit had this plan."""
        merged = {"sha": HEAD, "merge_commit_sha": MERGE}
        self.merged = [
            {
                **merged,
                "head": {"sha": HEAD},
                "merged_at": "2026-01-01T00:00:00Z",
                "iid": 7,
                "state": "merged",
            }
        ]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("plan.json", plan)
        number = self.number()
        self.archives[number] = packed.getvalue()
        run = {"head_sha": HEAD, "repository_id": 1, "head_repository_id": 2 if fork else 1}
        row = {"id": number, "name": f"plan-{HEAD}", "expired": expired, "workflow_run": run}
        self.artifacts.append({**row, "created_at": created})
        pipeline = self.number()
        self.pipelines.insert(0, {"id": pipeline, "sha": HEAD, "project_id": 43 if fork else 42})
        self.jobs[pipeline] = [{"id": 1, "name": "lint"}]
        if not expired:
            self.jobs[pipeline].append({"id": number, "name": "plan"})

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        """Return the answer's data: a tuple is a status and what goes with it."""
        for pattern, handler in _ROUTES:
            found = re.fullmatch(pattern, f"{method} {path}")
            if found:
                return handler(Call(self, found[1] if found.re.groups else "", query, body))
        return 404, {"message": f"no route for {method} {path}"}


def _rows(rows: list[Row], query: dict[str, str]) -> list[Row]:
    size = int(query["per_page"])
    start = (int(query["page"]) - 1) * size
    return rows[start : start + size]


def _add(rows: list[Row], row: Row) -> tuple[int, Row]:
    rows.append(row)
    return 201, row


def _change(rows: list[Row], key: str, number: str, body: Row) -> Any:
    for row in rows:
        if row[key] == int(number):
            row.update(body)
            return row
    return 404, {"message": "Not Found"}


def _issues(forge: FakeForge, query: dict[str, str], state: str) -> list[Row]:
    labelled = [each for each in forge.issues if query["labels"] in each["labels"] and each["state"] == state]
    return _rows(labelled, query)


def _add_issue(forge: FakeForge, key: str, state: str, body: Row) -> Any:
    number = forge.number()
    return _add(forge.issues, {**body, key: number, "state": state, "labels": body["labels"]})


def _close(forge: FakeForge, number: str, body: Row) -> Any:
    state = {"state": "closed"} if body.get("state_event") == "close" else {}
    return _change(forge.issues, "iid", number, {**body, **state})


def _tree(forge: FakeForge, body: Row) -> Any:
    assert body["base_tree"] == "tree-of-base"
    sha = f"tree{forge.number()}"
    forge._trees[sha] = {entry["path"]: entry["content"] for entry in body["tree"]}
    return 201, {"sha": sha}


def _git_commit(forge: FakeForge, body: Row) -> Any:
    assert body["parents"] == [MERGE]
    sha = f"commit{forge.number()}"
    forge._trees[sha] = forge._trees[body["tree"]]
    return 201, {"sha": sha}


def _set_ref(forge: FakeForge, name: str, body: Row, *, known: bool) -> Any:
    assert (name in forge.branches) == known
    forge.branches[name] = forge._trees[body["sha"]]
    return 200, {}


def _lab_commit(forge: FakeForge, body: Row) -> Any:
    for action in body["actions"]:
        assert (action["file_path"] in forge.files) == (action["action"] == "update")
    forge.branches[body["branch"]] = {each["file_path"]: each["content"] for each in body["actions"]}
    return 201, {"id": body["start_sha"]}


def _pull(forge: FakeForge, body: Row, url: str, **rest: Any) -> Any:
    number = forge.number()
    row = {**body, "number": number, "iid": number, "state": "open", url: f"{forge.url}/pull/{number}"}
    return _add(forge.pulls, row | rest)


@dataclass(frozen=True)
class Call:
    """One request; `key` is the part of its path that varies."""

    f: FakeForge
    key: str
    q: dict[str, str]
    b: Any


Handler = Callable[[Call], Any]

_HUB = "/repos/acme/codat"
_LAB = "/projects/42"
_ROUTES: list[tuple[str, Handler]] = [
    (rf"GET {_HUB}", lambda _: {"default_branch": "main"}),
    (rf"GET {_HUB}/issues/7/comments", lambda c: _rows(c.f.comments, c.q)),
    (rf"POST {_HUB}/issues/7/comments", lambda c: _add(c.f.comments, {**c.b, "id": c.f.number()})),
    (rf"PATCH {_HUB}/issues/comments/(\d+)", lambda c: _change(c.f.comments, "id", c.key, c.b)),
    (rf"GET {_HUB}/issues", lambda c: _issues(c.f, c.q, "open")),
    (rf"POST {_HUB}/issues", lambda c: _add_issue(c.f, "number", "open", c.b)),
    (
        rf"POST {_HUB}/issues/(\d+)/comments",
        lambda c: _change(c.f.issues, "number", c.key, {"said": c.b["body"]}),
    ),
    (rf"PATCH {_HUB}/issues/(\d+)", lambda c: _change(c.f.issues, "number", c.key, c.b)),
    (rf"GET {_HUB}/commits/{MERGE}/pulls", lambda c: _rows(c.f.merged, c.q)),
    (
        rf"GET {_HUB}/actions/artifacts",
        lambda c: {"artifacts": _rows([each for each in c.f.artifacts if each["name"] == c.q["name"]], c.q)},
    ),
    (rf"GET {_HUB}/actions/artifacts/(\d+)/zip", lambda c: c.f.archives[int(c.key)]),
    (rf"GET {_HUB}/git/commits/{MERGE}", lambda _: {"tree": {"sha": "tree-of-base"}}),
    (rf"POST {_HUB}/git/trees", lambda c: _tree(c.f, c.b)),
    (rf"POST {_HUB}/git/commits", lambda c: _git_commit(c.f, c.b)),
    (
        rf"GET {_HUB}/git/matching-refs/heads/(.+)",
        lambda c: [{"ref": f"refs/heads/{each}"} for each in c.f.branches if each.startswith(c.key)],
    ),
    (
        rf"POST {_HUB}/git/refs",
        lambda c: _set_ref(c.f, c.b["ref"].removeprefix("refs/heads/"), c.b, known=False),
    ),
    (rf"PATCH {_HUB}/git/refs/heads/(.+)", lambda c: _set_ref(c.f, c.key, c.b, known=True)),
    (
        rf"GET {_HUB}/pulls",
        lambda c: _rows([each for each in c.f.pulls if f"acme:{each['head']}" == c.q["head"]], c.q),
    ),
    (rf"POST {_HUB}/pulls", lambda c: _pull(c.f, c.b, "html_url")),
    (rf"PATCH {_HUB}/pulls/(\d+)", lambda c: _change(c.f.pulls, "number", c.key, c.b)),
    (rf"GET {_LAB}/merge_requests/7/notes", lambda c: _rows(c.f.comments, c.q)),
    (rf"POST {_LAB}/merge_requests/7/notes", lambda c: _add(c.f.comments, {**c.b, "id": c.f.number()})),
    (rf"PUT {_LAB}/merge_requests/7/notes/(\d+)", lambda c: _change(c.f.comments, "id", c.key, c.b)),
    (rf"GET {_LAB}/issues", lambda c: _issues(c.f, c.q, "opened")),
    (rf"POST {_LAB}/issues", lambda c: _add_issue(c.f, "iid", "opened", c.b)),
    (
        rf"POST {_LAB}/issues/(\d+)/notes",
        lambda c: _change(c.f.issues, "iid", c.key, {"said": c.b["body"]}),
    ),
    (rf"PUT {_LAB}/issues/(\d+)", lambda c: _close(c.f, c.key, c.b)),
    (rf"GET {_LAB}/repository/commits/{MERGE}/merge_requests", lambda c: _rows(c.f.merged, c.q)),
    (rf"GET {_LAB}/merge_requests/7/pipelines", lambda c: _rows(c.f.pipelines, c.q)),
    (rf"GET {_LAB}/pipelines/(\d+)/jobs", lambda c: _rows(c.f.jobs[int(c.key)], c.q)),
    (
        rf"GET {_LAB}/jobs/(\d+)/artifacts/plan\.json",
        lambda c: zipfile.ZipFile(io.BytesIO(c.f.archives[int(c.key)])).read("plan.json"),
    ),
    (
        rf"GET {_LAB}/repository/tree",
        lambda c: _rows([{"path": e} for e in c.f.files if e.rpartition("/")[0] == c.q["path"]], c.q),
    ),
    (rf"POST {_LAB}/repository/commits", lambda c: _lab_commit(c.f, c.b)),
    (
        rf"GET {_LAB}/merge_requests",
        lambda c: _rows([e for e in c.f.pulls if e["source_branch"] == c.q["source_branch"]], c.q),
    ),
    (rf"POST {_LAB}/merge_requests", lambda c: _pull(c.f, c.b, "web_url")),
    (rf"PUT {_LAB}/merge_requests/(\d+)", lambda c: _change(c.f.pulls, "iid", c.key, c.b)),
]


class _Handler(BaseHTTPRequestHandler):
    forge: FakeForge

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        parts = urlsplit(self.path)
        self.forge.requests.append(f"{self.command} {self.path}")
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        authorised = TOKEN in (self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or "")
        if self.forge.broken:
            status, sent = self.forge.broken.pop(0)
        else:
            answer = self.forge.answer(self.command, parts.path, query, body) if authorised else (401, {})
            status, answer = answer if isinstance(answer, tuple) else (200, answer)
            sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_PATCH = do_PUT = _serve  # noqa: N815  the server's names

    def log_message(self, *_: Any) -> None:
        """Say nothing on stderr."""


@contextmanager
def forge() -> Iterator[FakeForge]:
    """Serve both forges."""
    made = FakeForge()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"forge": made}))
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
