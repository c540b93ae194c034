"""`codat-iac show` and `codat-iac ci`, against a GitHub and a GitLab over real HTTP."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from codat_iac.cli import render, run
from codat_iac.cli.forge.forge import MOST_CHARACTERS, Forge, comment, keep_issue, propose
from codat_iac.cli.forge.github import GitHub
from codat_iac.cli.forge.gitlab import GitLab
from codat_iac.model.errors import CodatIacError, FileProblem
from codat_iac.planning.plan import Plan
from tests.support.forge import HEAD, MERGE, TOKEN, FakeForge, forge
from tests.support.samples import NOW

Shown = pytest.CaptureFixture[str]

BOTH = pytest.mark.parametrize("kind", ["github", "gitlab"])

QUIET = Plan(declared=1, recorded=1, stack="prod")
REFUSED = replace(QUIET, refusal="11 authorisations would be lost")


def written(plan: Plan, folder: Path) -> str:
    """Write a saved plan, and return its path."""
    path = folder / "plan.json"
    path.write_text(render.plan(plan, "json", NOW))
    return str(path)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeForge]:
    """Both forges; neither is named by the environment yet."""
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    with forge() as serving:
        yield serving


@pytest.fixture
def environment(
    fake: FakeForge, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The environment of a run in CI at the forge *kind*."""
    made = fake.github_environment(tmp_path) if kind == "github" else fake.gitlab_environment()
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def at(environment: dict[str, str], kind: str) -> Forge:
    """The forge *kind*, as a run in CI sees it."""
    return GitHub(environment) if kind == "github" else GitLab(environment)


@BOTH
def test_there_is_one_comment_and_it_is_brought_up_to_date(
    fake: FakeForge, environment: dict[str, str], tmp_path: Path, capfd: Shown
) -> None:
    """Silent while nothing changes; then one comment, which in the end says that nothing changes any more."""
    assert environment
    said = []
    fake.comments += [{"id": number, "body": "a person's"} for number in range(1, 151)]
    for plan in (QUIET, REFUSED, REFUSED, QUIET):
        assert run(["ci", "comment", "--key", "prod", written(plan, tmp_path)]) == 0
        said.append(capfd.readouterr().out.strip())

    ours = [each["body"] for each in fake.comments if each["body"] != "a person's"]
    assert said == [
        "nothing to say: no comment",
        "commented",
        "the comment is up to date",
        "the comment is updated",
    ]
    assert len(ours) == 1
    assert ours[0].startswith("<!-- codat-iac plan prod -->\n## codat-iac plan")
    assert "11 authorisations" not in ours[0]
    assert TOKEN not in str(fake.comments)


@BOTH
def test_each_stack_has_a_comment_of_its_own(at: Forge, fake: FakeForge) -> None:
    """And what stands in a key can't end the mark."""
    for key in ("prod", "test", "a --> b"):
        assert comment(at, key, f"of {key}", quiet=False) == "commented"
    assert comment(at, "prod", "of prod\r\n", quiet=False) == "the comment is up to date"

    assert [each["body"].splitlines()[0] for each in fake.comments] == [
        "<!-- codat-iac plan prod -->",
        "<!-- codat-iac plan test -->",
        "<!-- codat-iac plan a_--__b -->",
    ]


@BOTH
def test_a_long_text_is_shortened_at_a_line(at: Forge, fake: FakeForge) -> None:
    """A forge would refuse it."""
    comment(at, "", "a line of a plan\n" * 10_000, quiet=False)

    body = fake.comments[0]["body"]
    assert len(body) < 65_536
    assert len(body) > MOST_CHARACTERS - 100
    assert body.splitlines()[-3:-1] == ["a line of a plan", ""]
    assert body.splitlines()[-1].startswith("**Shortened.**")


@BOTH
def test_one_issue_is_opened_kept_and_closed(
    fake: FakeForge, environment: dict[str, str], tmp_path: Path, capfd: Shown
) -> None:
    """Each night; other issues stay as they are."""
    assert environment
    key = "number" if "github" in str(environment).lower() else "iid"
    state = "open" if key == "number" else "opened"
    fake.issues += [
        {key: 1, "labels": ["codat-iac"], "state": state, "body": "x", "description": None},
        {key: 2, "labels": ["codat-iac"], "state": state, "body": None, "pull_request": {}},
    ]
    said = []
    problem = [FileProblem("connections.yaml", 3, 1, "is defined twice")]
    for text in (
        render.plan(QUIET, "json", NOW),
        render.plan(REFUSED, "json", NOW),
        render.plan(REFUSED, "json", NOW),
        render.problems(problem, "json", NOW),
        render.plan(QUIET, "json", NOW),
    ):
        (tmp_path / "plan.json").write_text(text)
        assert run(["ci", "issue", "--key", "prod", str(tmp_path / "plan.json")]) == 0
        said.append(capfd.readouterr().out.strip())

    number = fake.issues[-1][key]
    assert said == [
        "no drift, and no issue",
        "opened an issue",
        f"issue {number} is up to date",
        f"issue {number} is updated",
        "closed 1",
    ]
    assert [each["state"] for each in fake.issues] == [state, state, "closed"]
    assert fake.issues[-1]["title"] == "Codat isn't as declared (prod)"
    assert fake.issues[-1]["said"] == "There is no drift any more."


@BOTH
def test_two_runs_at_once_leave_one_issue(at: Forge, fake: FakeForge) -> None:
    """The older one stays."""
    for _ in range(2):
        at.open_issue("t", "<!-- codat-iac drift  -->\nold")
    assert "is updated" in keep_issue(at, "", "t", "new")

    assert [each["state"] for each in fake.issues][1] == "closed"
    assert str(fake.issues[0].get("number") or fake.issues[0]["iid"]) in fake.issues[1]["said"]


@BOTH
def test_the_reviewed_plan_is_the_newest_of_the_merged_head(
    fake: FakeForge, environment: dict[str, str], tmp_path: Path
) -> None:
    """It arrives byte by byte as it was saved."""
    assert environment
    saved = render.plan(QUIET, "json", NOW)
    fake.review(render.plan(REFUSED, "json", NOW).encode(), created="2026-01-01")
    fake.review(saved.encode(), created="2026-01-02")
    fake.review(b"a fork's", fork=True, created="2026-01-03")

    assert run(["ci", "reviewed-plan", "--out", str(tmp_path / "got.json")]) == 0
    assert (tmp_path / "got.json").read_text().strip() == saved


@BOTH
@pytest.mark.parametrize("how", ["fork", "expired", "nothing"])
def test_without_a_reviewed_plan_nothing_is_applied(
    fake: FakeForge, environment: dict[str, str], tmp_path: Path, capfd: Shown, how: str
) -> None:
    """A fork can upload what it likes, and a plan that expired can't be had."""
    assert environment
    if how != "nothing":
        fake.review(render.plan(QUIET, "json", NOW).encode(), fork=how == "fork", expired=how == "expired")

    assert run(["ci", "reviewed-plan", "--out", str(tmp_path / "got.json")]) == 1
    told = capfd.readouterr().err.strip()
    assert len(told.splitlines()) == 1
    assert told.endswith("or run `codat-iac apply` yourself")
    assert (HEAD if how != "nothing" else MERGE) in told
    assert not (tmp_path / "got.json").exists()


def test_an_artifact_without_a_plan_is_refused(
    fake: FakeForge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or one that would fill the memory."""
    at = GitHub(fake.github_environment(tmp_path))
    fake.review(b"{}")
    number = fake.artifacts[-1]["id"]
    fake.archives[number] = b"no archive"
    with pytest.raises(CodatIacError, match=r"holds no plan\.json"):
        at.reviewed_plan("plan")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("plan.json", b"0123456789")
    fake.archives[number] = packed.getvalue()
    monkeypatch.setattr("codat_iac.cli.forge.github.MOST_BYTES", 9)
    with pytest.raises(CodatIacError, match="more than 9 bytes"):
        at.reviewed_plan("plan")


@BOTH
def test_what_differs_is_proposed_once(
    fake: FakeForge,
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Shown,
) -> None:
    """New and changed files, in a subfolder too; not what is deleted, and not what stands elsewhere."""
    assert environment
    clone = tmp_path / "clone"
    (clone / "codat/more").mkdir(parents=True)
    for name in ("codat/a.yaml", "codat/gone.yaml", "elsewhere.yaml"):
        (clone / name).write_text("old")
    for arguments in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=clone, check=True)
    fake.files = {"codat/a.yaml": "old", "codat/gone.yaml": "old", "elsewhere.yaml": "old"}
    monkeypatch.chdir(clone / "codat")
    ask = ["ci", "propose", "--branch", "codat/newcomers", "--title", "New ones", "."]

    assert run(ask) == 0
    assert fake.requests == []
    assert "nothing to propose" in capfd.readouterr().err
    (clone / "codat/a.yaml").write_text("ä new")
    (clone / "codat/more/b.yaml").write_text("b")
    (clone / "codat/gone.yaml").unlink()
    (clone / "elsewhere.yaml").write_text("not asked for")
    for _ in range(2):
        assert run(ask) == 0
        assert capfd.readouterr().out.startswith(f"{fake.url}/pull/")

    assert fake.branches == {"codat/newcomers": {"codat/a.yaml": "ä new", "codat/more/b.yaml": "b"}}
    assert [each["title"] for each in fake.pulls] == ["New ones"]


@BOTH
def test_a_proposal_goes_to_the_default_branch(at: Forge, fake: FakeForge) -> None:
    """Whatever branch the run is for."""
    assert propose(at, "b", "t", "text", {"f": b"x"}) == f"{fake.url}/pull/{fake.pulls[0]['number']}"
    assert "main" in (fake.pulls[0].get("base"), fake.pulls[0].get("target_branch"))


def test_outside_a_clone_nothing_can_differ(
    fake: FakeForge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Shown
) -> None:
    """One line, with what git says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert run(["ci", "propose", "--branch", "b", "--title", "t", "."]) == 1
    assert "not a git repository" in capfd.readouterr().err
    assert fake.requests == []


def test_elsewhere_the_command_says_what_it_is_for(fake: FakeForge, tmp_path: Path, capfd: Shown) -> None:
    """On a person's machine."""
    assert run(["ci", "comment", written(QUIET, tmp_path)]) == 1
    assert "neither GITHUB_ACTIONS nor GITLAB_CI is true" in capfd.readouterr().err
    assert fake.requests == []


@BOTH
def test_what_is_missing_in_the_environment_is_named(environment: dict[str, str], kind: str) -> None:
    """With the way to set it."""
    made = GitHub if kind == "github" else GitLab
    token = "GITHUB_TOKEN" if kind == "github" else "GITLAB_TOKEN"
    with pytest.raises(CodatIacError, match=f"{token} isn't set; "):
        made({**environment, token: ""})


@BOTH
def test_a_run_for_no_pull_request_has_no_comments(environment: dict[str, str], kind: str) -> None:
    """Such as the one after the merge."""
    gone = {"GITHUB_EVENT_PATH": "", "CI_MERGE_REQUEST_IID": ""}
    at: Forge = GitHub(environment | gone) if kind == "github" else GitLab(environment | gone)
    with pytest.raises(CodatIacError, match=r"is for no (pull|merge) request; run it "):
        list(at.comments())


@BOTH
def test_a_refusal_says_what_the_token_needs(at: Forge, fake: FakeForge) -> None:
    """In the forge's words, and ours."""
    fake.broken = [(403, b'{"message": "Resource not accessible"}')]
    with pytest.raises(CodatIacError, match=r"403 Resource not accessible; .*(permissions|GITLAB_TOKEN)"):
        list(at.issues())
    fake.broken = [(422, b'["odd"]')]
    with pytest.raises(CodatIacError, match=r": 422 .*; run the job again"):
        at.add_comment("x")
    fake.broken = [(409, b"<html>")]
    with pytest.raises(CodatIacError, match=r": 409 .*; run the job again"):
        at.add_comment("x")


@BOTH
def test_what_is_no_answer_of_the_api_is_said(at: Forge, fake: FakeForge) -> None:
    """Such as a proxy's page."""
    fake.broken = [(200, b"<html>")]
    with pytest.raises(CodatIacError, match="no JSON came"):
        list(at.issues())
    fake.broken = [(200, b"{}")]
    with pytest.raises(CodatIacError, match="no list came"):
        list(at.issues())


@BOTH
def test_a_list_without_an_end_is_an_error(at: Forge, fake: FakeForge) -> None:
    """A server that doesn't know `page` sends the same rows for ever."""
    rows = [{"number": n, "iid": n, "body": "", "description": ""} for n in range(100)]
    fake.broken = [(200, json.dumps(rows).encode())] * 100
    with pytest.raises(CodatIacError, match="more than 10,000 rows"):
        list(at.issues())


@BOTH
def test_reads_are_repeated_and_writes_are_not(at: Forge, fake: FakeForge) -> None:
    """A write may have been done; the next run finds it by its mark."""
    fake.broken = [(502, b""), (503, b"")]
    assert list(at.issues()) == []
    fake.requests.clear()
    fake.broken = [(502, b"")]
    with pytest.raises(CodatIacError, match="502"):
        at.add_comment("x")
    assert len(fake.requests) == 1


def test_a_forge_that_is_not_there_is_one_line(fake: FakeForge) -> None:
    """Without the token, which stands in the URL of some."""
    at = GitLab({**fake.gitlab_environment(), "CI_API_V4_URL": f"http://user:{TOKEN}@127.0.0.1:1"})
    with pytest.raises(
        CodatIacError, match=r"^127\.0\.0\.1:1: no answer \(ConnectionError\); run the job again$"
    ):
        at.add_comment("x")


def test_a_saved_plan_is_shown_in_each_format(tmp_path: Path, capfd: Shown) -> None:
    """It is one plan, read once."""
    path = written(REFUSED, tmp_path)
    for output in render.FORMATS["plan"]:
        assert run(["show", path, "--output", output.value]) == 0
        assert "11 authorisations would be lost" in capfd.readouterr().out


def test_what_a_plan_found_wrong_is_shown_too(tmp_path: Path, capfd: Shown) -> None:
    """`plan -o json` writes the problems in place of the plan."""
    path = tmp_path / "plan.json"
    path.write_text(render.problems([FileProblem("connections.yaml", 3, 1, "is defined twice")], "json", NOW))
    assert run(["show", str(path), "--output", "markdown"]) == 0
    assert "is defined twice" in capfd.readouterr().out


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "problems", "formatVersion": 2}', "[" * 100_000])
def test_what_is_neither_is_an_error(tmp_path: Path, capfd: Shown, text: str) -> None:
    """With the file's name, and the command that writes one."""
    path = tmp_path / "plan.json"
    path.write_text(text)
    assert run(["show", str(path)]) == 1
    told = capfd.readouterr().err.strip()
    assert told.startswith(f"codat-iac: {path}: ")
    assert "codat-iac plan" in told
