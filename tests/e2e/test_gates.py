"""The gates with real commands: work outside its scope needs a name and a reason, and `review-policy: auto`
ships what is small and leaves the rest."""

from __future__ import annotations

import json
from pathlib import Path

from aq.core.lifecycle import Stage
from aq.core.record import Changes
from tests.host.targets import make_target
from tests.support.audit import audit
from tests.support.fleet import Fleet, git
from tests.support.story import hand_write

CI = ".github/workflows/ci.yml"
REASON = "the pipeline moves with the code"
STRAYED = f"""---
engine: shell
repo: target
verify: test -f src/a
allowed-scope: ["src/**"]
review-policy: auto
---
mkdir -p src .github/workflows && echo x > src/a && echo x > {CI}
"""
QUICK = """---
engine: shell
repo: target
verify: test -f {0}
profile: quick
deliver: merge
---
echo x > {0}
"""


def test_only_what_is_small_and_in_scope_is_shipped_without_a_person(
    fleet: Fleet, tmp_path: Path, hermetic_home: Path
) -> None:
    target = make_target(tmp_path)
    (hermetic_home / "host.yaml").write_text(f"repos: {{target: {target.url}}}\n")
    hand_write(fleet.you.path, "profiles/quick.md", "---\nreview-policy: auto\n---\nBe quick.\n")
    fleet.you.drop("strayed", STRAYED)
    fleet.you.drop("small", QUICK.format("new"))
    fleet.you.drop("dependency", QUICK.format("package.json"))
    fleet.you.aq("status")
    assert fleet.start("ada", "--until-idle").wait(90) == 0, fleet.machine("ada").log

    small, dependency, strayed = (fleet.job(name) for name in ("small", "dependency", "strayed"))
    assert small
    assert dependency
    assert strayed
    assert (small.stage, small.record.delivery) == (Stage.SHIPPED, "delivered")
    assert git(target.bare, "show", "main:new") == "x"
    assert (dependency.stage, dependency.record.hold) == (Stage.TESTING, None)
    assert dependency.record.runs[-1].risks == ("dependencies: package.json",)
    assert strayed.record.hold
    assert strayed.record.hold.text == f"outside its scope: {CI}"
    assert strayed.record.runs[-1].changes == Changes(2, 2, 0, (CI, "src/a"))

    you = fleet.you.aq
    packets = {packet["job"]: packet for packet in json.loads(you("review", "--json").stdout)["waiting"]}
    assert set(packets) == {"strayed", "dependency"}
    assert packets["dependency"]["auto"] == ["its risk is medium (dependencies: package.json)"]
    for words in (("ship", "strayed"), ("resume", "strayed")):
        refused = you(*words, ok=False)
        assert refused.returncode == 1
        assert f"strayed is on hold: outside its scope: {CI}" in refused.stderr
        assert "--override REASON" in refused.stderr
    you("ship", "strayed", "--override", REASON)

    shipped = fleet.job("strayed")
    assert shipped
    (override,) = shipped.record.overrides
    assert (override.by, override.reason, override.gates) == ("Alice", REASON, ("scope",))
    assert f"Alice overrode scope: {REASON}" in you("log", "strayed").stdout
    message = git(fleet.hub, "log", "-1", "--format=%B", "main")
    assert f"Aq-Override: scope\nAq-Reason: {REASON}" in message
    assert audit(fleet.hub).of("small")[-2:] == ["ship", "delivered"]
    you("audit")
