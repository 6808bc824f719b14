"""Two real hosts, both busy with low jobs: a critical one gets the slot of one of them at once, and nothing
of what the low one did is lost."""

from __future__ import annotations

from pathlib import Path

from aq.core.lifecycle import Stage
from aq.core.record import Record
from tests.host.targets import make_target
from tests.support.fleet import Fleet, wait_until

CALM = "cadence: {preset: local, poll: 0.3s, beat: 2s, ttl: 90s, grace: 5s, patience: 2s}\n"
LOW = """---
engine: shell
repo: target
priority: low
verify: test -s whole
---
[ -e half ] && exec cp half whole
echo "$AQ_JOB" > half
touch {marks}/$AQ_JOB
while [ ! -e {marks}/gate ]; do sleep 0.1; done
cp half whole
"""
URGENT = "---\nengine: shell\npriority: critical\nverify: test -f done\n---\ntouch done\n"


def awaits_ship(fleet: Fleet, name: str) -> Record:
    """The record of a job once it waits for a person."""

    def there() -> Record | None:
        job = fleet.job(name)
        return job.record if job and job.stage is Stage.TESTING else None

    return wait_until(there, what=f"{name} to be done") or Record()


def test_a_critical_job_is_run_at_once_and_the_low_one_goes_on_later(
    tmp_path: Path, hermetic_home: Path
) -> None:
    target, marks = make_target(tmp_path), tmp_path / "marks"
    marks.mkdir()
    (hermetic_home / "host.yaml").write_text(f"repos: {{target: {target.url}}}\nstop-grace: 1s\n")
    fleet = Fleet(tmp_path / "fleet", CALM)
    try:
        for name in ("ada", "bob"):
            fleet.start(name, "--slots", "1")
        for name in ("one", "two"):
            fleet.you.drop(name, LOW.format(marks=marks))
        fleet.you.aq("status")
        wait_until(lambda: {"one", "two"} <= {path.name for path in marks.iterdir()}, what="two busy hosts")
        fleet.you.drop("urgent", URGENT)
        fleet.you.aq("status")
        awaits_ship(fleet, "urgent")
        (marks / "gate").touch()
        records = {name: awaits_ship(fleet, name) for name in ("one", "two")}
        gave, kept = sorted(records, key=lambda name: -records[name].preempted)
        assert (records[gave].preempted, records[kept].preempted) == (1, 0)
        assert [run.outcome for run in records[gave].runs] == ["preempted", "passed"]
        assert records[gave].attempts == records[kept].attempts == 1
        assert target.show(f"{records[gave].runs[0].branch}:half") == gave
        assert target.show(f"{records[gave].branch}:whole") == gave
        fleet.you.aq("ship", gave)
        assert sum(line.startswith("preempt ") for line in fleet.events()) == 1
    finally:
        # It audits the whole history.
        fleet.end()
