"""`gh` and `glab` as far as pull requests go: programs that keep a forge's state in a file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

PROGRAM = """#!{python}
import json, os, subprocess, sys
tool, state, remote = {tool!r}, {state!r}, {remote!r}
args = sys.argv[1:]
known = json.load(open(state))
known["calls"].append(args)
def value(*names):
    return next((args[args.index(n) + 1] for n in names if n in args), "")
def save():
    json.dump(known, open(state, "w"))
def shown(one):
    tip = one.get("tip") or subprocess.run(["git", "--git-dir", remote, "rev-parse", one["branch"]],
        capture_output=True, text=True).stdout.strip()
    if tool == "gh":
        return dict(number=one["number"], url=one["url"], state=one["state"].upper(), headRefOid=tip,
                    baseRefName=one["base"], isCrossRepository=bool(one.get("foreign")))
    return dict(iid=one["number"], web_url=one["url"], sha=tip, target_branch=one["base"],
                source_project_id=2 if one.get("foreign") else 1, target_project_id=1,
                state=dict(open="opened").get(one["state"], one["state"]))
save()
if os.path.exists(os.path.join(os.getcwd(), ".git")) or not value("--repo"):
    sys.exit("it must not guess the repository")
if known.get("fail"):
    sys.exit(known["fail"])
what = args[1]
if what == "list":
    head = value("--head", "--source-branch")
    print(json.dumps([shown(one) for one in known["requests"] if one["branch"] == head]))
elif what == "view":
    print(json.dumps(next(shown(one) for one in known["requests"] if str(one["number"]) == args[2])))
elif what == "create":
    number = len(known["requests"]) + 1
    body = value("--description") or open(value("--body-file")).read()
    known["requests"].append(dict(number=number, url="https://forge.invalid/pr/%d" % number, state="open",
        branch=value("--head", "--source-branch"), base=value("--base", "--target-branch"),
        title=value("--title"), body=body, repo=value("--repo")))
    save()
    if known.get("lost"):
        sys.exit("connection reset")
"""


class FakeForge:
    """A forge whose repository is a bare one here."""

    def __init__(self, root: Path, tool: str, remote: Path) -> None:
        self.state = root / "forge.json"
        self.bin = root / "bin"
        self.bin.mkdir()
        self.save(requests=[], calls=[])
        program = PROGRAM.format(python=sys.executable, tool=tool, state=str(self.state), remote=str(remote))
        (self.bin / tool).write_text(program)
        (self.bin / tool).chmod(0o755)

    @property
    def path(self) -> str:
        """A PATH that begins with the tool."""
        return f"{self.bin}{os.pathsep}{os.environ['PATH']}"

    @property
    def known(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.state.read_text())
        return found

    def save(self, **more: Any) -> None:
        before = self.known if self.state.exists() else {}
        self.state.write_text(json.dumps({**before, **more}))

    @property
    def requests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.known["requests"]
        return found

    def change(self, **more: Any) -> None:
        """What a person does to the first pull request."""
        first, *rest = self.requests
        self.save(requests=[{**first, **more}, *rest])
