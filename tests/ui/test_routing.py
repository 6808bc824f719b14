"""What a person is told of the router: `aq why`, `plan`, `graph`, `profiles`, `show --resolved`, and the
warnings of `add` and `check`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from aq.core.accepts import Accepts
from aq.core.fleet import Beat
from aq.core.instants import instant
from aq.ledger.beatwriter import BeatWriter
from tests.support.fleet import Fleet, beat
from tests.support.story import Story, by_hand, hand_write
from tests.ui.conftest import Person

_JOB = "---\nengine: shell\n{}\n---\ntrue\n"
_OFFERS = frozenset({"os:linux", "engine:shell"})


def beats(fleet: Fleet, name: str, *offers: str, **more: Any) -> None:
    """A host that is heard now and runs nothing."""
    machine = fleet.machine(name)
    ledger = machine.ledger()
    writer = BeatWriter(ledger.committer, ledger.who, name, ledger.config.beat_refs, machine.state)
    fields: dict[str, Any] = {"ttl": 600.0, "slots": 2, "offers": _OFFERS | {f"host:{name}", *offers}, **more}
    made: Beat = beat(name, **fields)
    writer.compose = lambda: made
    ledger.fetch()
    ledger.perform([], writer)
    assert writer.confirmed


def test_why_tells_each_host_s_score_or_the_clause_that_refuses_it(
    aq: Person, told: Story, fleet: Fleet
) -> None:
    told.inbox("one", _JOB.format("prefers: [host:bea]\ncapabilities: [os:linux]"))
    beats(fleet, "bea")
    beats(fleet, "cid", accepts=Accepts(products=("billing",)))
    beats(fleet, "dan", resting="3 jobs in a row went bad here")
    out = aq("why", "one").out
    assert "bea: can run it, 3.00 points (it falls to this host)" in out
    assert "affinity +1.00 (prefers host:bea)" in out
    assert "cid: accepts only products billing" in out
    assert "dan: rests: 3 jobs in a row went bad here" in out
    said = aq("why", "one", "--json").json
    assert said["falls_to"] == "bea"
    assert said["scores"]["bea"]["score"] == 3.0
    assert {"name": "affinity", "points": 1.0, "why": "prefers host:bea"} in said["scores"]["bea"]["terms"]
    assert said["hosts"]["cid"] == ["accepts only products billing"]
    assert set(aq("why", "one", "--host", "cid", "--json").json["hosts"]) == {"cid"}


def test_why_tells_how_long_the_job_waits_and_how_it_was_claimed(aq: Person, told: Story) -> None:
    told.inbox("one", _JOB.format("priority: low"))
    assert "  waits " in aq("why", "one").out
    told.do(told.claim_of("one", score="1.50: load +1.00 (0 of 2 slots in use)"))
    assert "attempt 1 went to ada with 1.50: load +1.00 (0 of 2 slots in use)" in aq("why", "one").out
    assert aq("why", "one", "--json").json["claimed"]["host"] == "ada"


def test_plan_shows_what_would_happen_and_changes_nothing(aq: Person, told: Story, fleet: Fleet) -> None:
    told.inbox("one")
    told.inbox("two", _JOB.format("capabilities: [gpu]"))
    beats(fleet, "bea")
    tip = fleet.tip()
    out = aq("plan").out
    assert "one -> bea (shell)" in out
    assert "health +1.00" in out
    assert "two waits: no live host can run it: bea lacks gpu" in out
    said = aq("plan", "--json").json
    assert [(a["job"], a["host"], a["verify"]) for a in said["assignments"]] == [("one", "bea", False)]
    assert said["waiting"] == {"two": "no live host can run it: bea lacks gpu"}
    assert fleet.tip() == tip


def test_a_critical_job_is_told_whose_slot_it_takes(aq: Person, told: Story, fleet: Fleet) -> None:
    told.building("slow", _JOB.format("priority: low"))
    told.inbox("one", _JOB.format("priority: critical"))
    beats(fleet, "ada", slots=1)
    assert "takes the slot of slow on ada" in aq("why", "one").out
    assert "gives its slot on ada to one" in aq("why", "slow").out
    assert aq("why", "one", "--json").json["takes_slot_of"] == "slow"
    assert aq("why", "slow", "--json").json["gives_slot_to"] == "one"
    out = aq("plan").out
    assert "one takes the slot of slow on ada" in out
    assert "one waits" not in out
    assert "No job starts now." not in out
    said = aq("plan", "--json").json
    assert said["preemptions"] == [{"job": "one", "victim": "slow", "host": "ada"}]
    assert "takes the slot of slow on ada" in aq("status").out


def test_plan_without_work_or_with_very_much_of_it(aq: Person, told: Story) -> None:
    assert "No job starts now." in aq("plan").out
    for n in range(21):
        told.inbox(f"job{n:02}")
    out = aq("plan").out
    assert "job00 waits: no live host" in out
    assert "job20" not in out
    assert "… 1 more" in out
    assert "job20 waits" in aq("plan", "--all").out


def test_graph_shows_the_jobs_below_what_they_need(aq: Person, told: Story) -> None:
    assert "No job depends on another." in aq("graph").out
    for name, deps in (
        ("a", ""),
        ("b", ""),
        ("c", "deps: [a, b]"),
        ("d", "deps: [c]"),
        ("e", "deps: [ghost]"),
    ):
        told.inbox(name, _JOB.format(deps))
    assert aq("graph").out.splitlines() == [
        "a (inbox)",
        "└─ c (inbox, needs 2)",
        "   └─ d (inbox)",
        "b (inbox)",
        "└─ c (inbox, needs 2) (see above)",
        "ghost (no such job)",
        "└─ e (inbox)",
    ]
    assert "ghost" not in aq("graph", "c").out
    lines = aq("graph", "c", "--format", "mermaid").out.splitlines()
    assert lines[0] == "graph TD"
    assert '    j2["c<br/>inbox"]' in lines
    assert "    j0 --> j2" in lines
    said = aq("graph", "--json").json
    assert {"job": "d", "stage": "inbox", "title": "", "needs": ["c"]} in said["jobs"]
    assert said["circles"] == []
    assert "aq status --all" in aq.refused("graph", "nobody")
    assert "write text or mermaid" in aq.refused("graph", "--format", "dot", code=2)


def test_a_circle_is_refused_by_add_and_told_everywhere_when_it_came_by_git(
    aq: Person, told: Story, fleet: Fleet, tmp_path: Path
) -> None:
    clone = fleet.you.path
    hand_write(clone, "queue/inbox/a.md", _JOB.format("deps: [b]"))
    hand_write(clone, "queue/inbox/b.md", _JOB.format("deps: [a]"))
    words = "its deps go in a circle: a -> b -> a"
    assert words in aq("why", "a").out
    assert words in aq("status").out
    assert words in aq("graph").out
    assert words in aq("check").out
    assert words in aq("doctor", code=1).out
    assert words in aq("plan").out
    hand_write(clone, "queue/inbox/c.md", _JOB.format("deps: [d-key]"))
    closing = tmp_path / "d.md"
    closing.write_text(_JOB.format("deps: [d]"))
    assert "its deps go in a circle: d -> d" in aq("check", str(closing)).out


def test_add_and_check_warn_when_no_host_could_ever_run_a_job(
    aq: Person, told: Story, fleet: Fleet, tmp_path: Path
) -> None:
    needs = tmp_path / "needs.md"
    needs.write_text(_JOB.format("capabilities: [gpu]"))
    assert "no host seen" not in aq("check", str(needs)).out
    beats(fleet, "bea")
    beats(fleet, "old", "gpu", at=instant(time.time() - 8 * 86400))
    aq("hosts")
    words = "no host seen in 7 days could run it: bea lacks gpu"
    assert f"{needs}: {words}" in aq("check", str(needs)).out
    said = aq("add", str(needs))
    assert words in said.err
    assert "added" in said.out
    assert words in aq("add", str(needs), "--json").json["warnings"][0]["warning"]
    assert words in aq("check").out
    assert words in aq("check", "--json").json["warnings"][0]["warning"]
    assert words in aq("doctor", code=0).out
    beats(fleet, "new", "gpu")
    aq("hosts")
    assert "warning" not in aq("add", str(needs)).err


def test_an_unknown_profile_is_warned_of_and_lets_the_job_wait(aq: Person, told: Story) -> None:
    aq("status")
    words = "there is no profiles/nobody.md"
    assert words in aq("add", "--engine", "shell", "--profile", "nobody", "--name", "one", "true").err
    (row,) = aq("status", "--json").json["rows"]
    assert words in row["note"]


def test_profiles_lists_what_each_gives_and_what_is_wrong(aq: Person, told: Story, fleet: Fleet) -> None:
    out = aq("profiles").out
    assert "frontend-engineer" in out
    assert "capabilities, engine-class" in out
    hand_write(fleet.you.path, "profiles/odd.md", "---\nextends: nobody\n---\nx\n")
    assert "odd: there is no profiles/nobody.md (extended by odd)" in aq("profiles", code=1).out
    assert "there is no profiles/nobody.md" in aq("check", code=1).out
    found = {each["profile"]: each for each in aq("profiles", "--json", code=1).json["profiles"]}
    assert found["frontend-engineer"]["origins"]["engine-class"] == "developer"
    assert found["odd"]["problem"]


def test_a_queue_without_profiles_says_how_to_make_one(aq: Person, told: Story, fleet: Fleet) -> None:
    by_hand(fleet.you.path, ("rm", "--quiet", "-r", "profiles"))
    assert "Put a Markdown file with a persona into profiles/" in aq("profiles").out


def test_show_resolved_tells_each_value_and_where_it_is_from(aq: Person, told: Story, fleet: Fleet) -> None:
    clone = fleet.you.path
    settings = (clone / "queue" / "aq.yaml").read_text()
    hand_write(clone, "queue/aq.yaml", f"{settings}defaults: {{timeout: 9m}}\n")
    hand_write(clone, "profiles/dev.md", "---\nmodel: big\nprefers-engine: [claude]\n---\nYou develop.\n")
    told.ledger.fetch()
    told.inbox("one", _JOB.format("profile: dev"))
    lines = {line.split()[0]: line for line in aq("show", "one", "--resolved").out.splitlines() if line}
    assert lines["engine"].split(None, 2)[1:] == ['"shell"', "the job"]
    assert lines["model"].endswith("profile dev")
    assert lines["prefers-engine"].endswith("profile dev")
    assert lines["timeout"].endswith("queue/aq.yaml")
    assert lines["sandbox"].endswith("built-in")
    assert "You develop." in aq("show", "one", "--resolved").out
    said = aq("show", "one", "--resolved", "--json").json
    assert said["resolved"]["model"] == {"value": "big", "source": "profile dev"}
    assert said["profile"]["persona"] == "You develop."
