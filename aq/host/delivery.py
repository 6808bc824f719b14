"""Pull requests, through the forge's own command line: `gh` or `glab`. One that is there is found and not
made twice, and what counts is what the forge shows afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

from aq.core.value import Value
from aq.host.gitproc import WorkspaceError
from aq.host.repos import ConflictError, Mirror

TOOLS = ("gh", "glab")
_SECONDS = 120
_WEB = re.compile(r"(?:https?|ssh|git)://(?:[^@/]+@)?(?P<host>[^/:]+)(?::\d+)?/(?P<path>.+?)(?:\.git)?/?")
_SCP = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:]{2,}):(?P<path>[^/].*?)(?:\.git)?/?")
_QUIET = {
    "GH_PROMPT_DISABLED": "1",
    "GH_NO_UPDATE_NOTIFIER": "1",
    "GLAB_CHECK_UPDATE": "false",
    "NO_PROMPT": "1",
    "NO_COLOR": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
_FIELDS = "number,url,state,headRefOid,baseRefName,isCrossRepository"
# Forks may have branches of the same name.
_MOST = "100"
_STATES = {"opened": "open", "locked": "open"}


class Request(Value):
    """What is to be merged: the work's branch and tip into a branch, with words for people."""

    branch: str
    tip: str
    base: str
    title: str
    body: str


class Shown(Value):
    """A pull request as the forge shows it; a `foreign` one comes from another repository, a fork."""

    number: str
    url: str
    state: str
    tip: str
    base: str
    foreign: bool = False


class Forge(Value):
    """One repository on a forge, and the tool that talks to it."""

    tool: str
    repo: str

    @classmethod
    def of(cls, source: str) -> Forge:
        """The forge that a repository's URL leads to. Raises ConflictError when it is on none, or
        WorkspaceError when this host has no tool for it."""
        match = _WEB.fullmatch(source) or _SCP.fullmatch(source)
        if not match or os.path.exists(source):
            raise ConflictError(f"{source} is on no forge that has pull requests", "use `deliver: merge`")
        host = match["host"].lower()
        wanted = [tool for tool, word in (("gh", "github"), ("glab", "gitlab")) if word in host] or TOOLS
        tool = next((tool for tool in wanted if shutil.which(tool)), "")
        if not tool:
            raise WorkspaceError(f"this host has no {' or '.join(wanted)}", "install it and log in")
        path = match["path"]
        return cls(tool, f"{match['host']}/{path}" if tool == "gh" else f"https://{match['host']}/{path}")

    def all_of(self, branch: str, base: str) -> list[Shown]:
        """The pull requests of this repository's branch into another, whatever became of them."""
        how: tuple[str, ...]
        if self.tool == "gh":
            how = ("pr", "list", "--head", branch, "--base", base, "--state", "all", "--limit", _MOST)
            how += ("--json", _FIELDS)
        else:
            how = ("mr", "list", "--source-branch", branch, "--target-branch", base, "--all")
            how += ("--per-page", _MOST, "--output", "json")
        found = self._json(*how)
        shown = [_shown(entry) for entry in found] if isinstance(found, list) else []
        return [one for one in shown if one.base == base and not one.foreign]

    def create(self, request: Request) -> str:
        """Ask for a pull request; the tool's words when it says that it failed."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".md") as file:
            file.write(request.body)
            file.flush()
            if self.tool == "gh":
                how = ["pr", "create", "--head", request.branch, "--base", request.base]
                how += ["--title", request.title, "--body-file", file.name]
            else:
                how = ["mr", "create", "--source-branch", request.branch, "--target-branch", request.base]
                how += ["--title", request.title, "--description", request.body, "--yes"]
            done = self._run(*how)
        return _words(done) if done.returncode else ""

    def view(self, number: str) -> Shown:
        """A pull request as it is now."""
        how = ("pr", "view", number, "--json", _FIELDS)
        found = self._json(*(how if self.tool == "gh" else ("mr", "view", number, "--output", "json")))
        if not isinstance(found, dict):
            raise WorkspaceError(f"{self.tool} shows no pull request {number}")
        return _shown(found)

    def _run(self, *args: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "AQ_"))}
        # In a repository the tools would look at its remotes.
        with tempfile.TemporaryDirectory() as nowhere:
            try:
                return subprocess.run(
                    [shutil.which(self.tool) or self.tool, *args, "--repo", self.repo],
                    cwd=nowhere,
                    env={**env, **_QUIET},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise WorkspaceError(f"{self.tool} did not answer within {_SECONDS} s") from None

    def _json(self, *args: str) -> Any:
        done = self._run(*args)
        if done.returncode:
            raise WorkspaceError(f"{self.tool} {args[0]} {args[1]} failed: {_words(done)}")
        try:
            return json.loads(done.stdout or "null")
        except ValueError:
            raise WorkspaceError(f"{self.tool} {args[0]} {args[1]} answered no JSON") from None


def open_request(mirror: Mirror, request: Request) -> str:
    """The URL of the one pull request for this work, made when there is none. Raises ConflictError when
    a person has to look, or WorkspaceError when it may work later."""
    there = mirror.remote_tip(request.branch)
    if there != request.tip:
        what = f"is at {there[:12]}" if there else "is gone"
        raise ConflictError(f"the branch {request.branch} {what}, not at {request.tip[:12]}", "push it again")
    forge = Forge.of(mirror.source)
    found = _chosen(forge.all_of(request.branch, request.base))
    words = ""
    if found is None:
        words = forge.create(request)
        # Its reply may be lost, or another host may have been faster: what counts is what is there.
        found = _chosen(forge.all_of(request.branch, request.base))
    if found is None:
        raise WorkspaceError(f"{forge.tool} made no pull request: {words}")
    shown = forge.view(found.number)
    if shown.state == "closed":
        raise ConflictError(f"{shown.url} was closed by a person", "reopen it, or reject the job")
    if shown.tip != request.tip:
        raise ConflictError(f"{shown.url} shows {shown.tip[:12]}, not {request.tip[:12]}", "look at it")
    return shown.url


def _chosen(found: Iterable[Shown]) -> Shown | None:
    order = {"open": 0, "merged": 1}
    return min(found, key=lambda shown: order.get(shown.state, 2), default=None)


def _shown(entry: Mapping[str, Any]) -> Shown:
    """One of either tool's entries."""
    state = str(entry.get("state", "")).lower()
    return Shown(
        str(entry.get("number") or entry.get("iid") or ""),
        str(entry.get("url") or entry.get("web_url") or ""),
        _STATES.get(state, state),
        str(entry.get("headRefOid") or entry.get("sha") or ""),
        str(entry.get("baseRefName") or entry.get("target_branch") or ""),
        bool(entry.get("isCrossRepository"))
        or entry.get("source_project_id") != entry.get("target_project_id"),
    )


def _words(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[0] if lines else f"exit code {done.returncode}"


def summary_of(mirror: Mirror, tip: str) -> str:
    """What the engine said of its work: the message of the commit without its first and last paragraph."""
    body = mirror.must("log", "-1", "--format=%b", tip)
    return "\n\n".join(body.split("\n\n")[:-1])
