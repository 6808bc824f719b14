"""Operations that write a run's result. Each names the lease and is refused without it (rule 7)."""

from __future__ import annotations

from typing import Any

from aq.core.change import Change, Refusal
from aq.core.gates import scope_hold
from aq.core.job import Job
from aq.core.lease import Fence
from aq.core.lifecycle import BROKEN, Stage, Trigger
from aq.core.operations.base import (
    Operation,
    ended_run,
    engine_facts,
    held,
    missing_job,
    returned_spend,
)
from aq.core.overrun import OVERRUN, hold_words, is_overrun
from aq.core.record import Changes, CheckResult, Note, Run, Verdict
from aq.core.retry import after_failure
from aq.core.risk import risk_of
from aq.core.snapshot import Snapshot
from aq.core.value import replace


def _cost(usd: float | None, tokens: int | None) -> tuple[tuple[str, str], ...]:
    spent = () if usd is None else (("Aq-Cost-Usd", f"{usd:.6f}".rstrip("0").rstrip(".")),)
    used = () if tokens is None else (("Aq-Tokens", str(tokens)),)
    return spent + used


def _known(run: Run, usd: float | None, tokens: int | None) -> dict[str, Any]:
    """What a run cost, as it is known now: what is not told anew stays."""
    return {"usd": run.usd if usd is None else usd, "tokens": run.tokens if tokens is None else tokens}


def _seen(operation: Land | FixRound, snapshot: Snapshot) -> dict[str, Any]:
    """What a record keeps of the work itself, and how risky that is."""
    outside, warnings, changes = operation.outside, operation.warnings, operation.changes
    risk = risk_of(changes, outside, warnings, snapshot.settings.risk)
    found = {"outside": outside, "warnings": warnings, "changes": changes}
    return {**found, "risk": str(risk.level), "risks": risk.reasons}


def _not_pushed(branch: str, job: Job) -> Refusal:
    return Refusal(
        f"the branch {branch} of {job.id} is not on its remote", "it is pushed again with the next try"
    )


class Land(Operation, kw_only=True):
    """building to review under the same lease. `pushed` says that the branch was read back from the
    target repository: a landing never names a tip that is not there (rule 9)."""

    fence: Fence
    branch: str = ""
    tip: str = ""
    pushed: bool = False
    usd: float | None = None
    tokens: int | None = None
    baseline: str = ""
    model: str = ""
    version: str = ""
    outside: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: Changes | None = None

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused without the lease, or without the branch on the remote."""
        job = held(snapshot, self.fence, Stage.BUILDING, Stage.REVIEW)
        if isinstance(job, Refusal):
            return job
        if job.stage is Stage.REVIEW:
            return Refusal(f"{job.id} has landed already", done=True)
        if self.tip and not self.pushed:
            return _not_pushed(self.branch, job)
        record = replace(job.record, branch=self.branch, tip=self.tip)
        facts = engine_facts(job.record.runs[-1], self.model, self.version)
        cost: dict[str, Any] = {"usd": self.usd, "tokens": self.tokens, "baseline": self.baseline}
        cost |= _seen(self, snapshot)
        record = record.with_last_run(branch=self.branch, tip=self.tip, **cost, **facts)
        after = self.placed(job, Stage.REVIEW, record, job.lease)
        extra = (("Aq-Branch", self.branch), *_cost(self.usd, self.tokens))
        return self.change(Trigger.LAND, job, after, host=self.fence.host, extra=extra)


class _Judging(Operation, kw_only=True):
    """A verdict on the run that holds the lease; its cost when it is known better than before. Work outside
    the job's scope is put on hold with it."""

    fence: Fence
    checks: tuple[CheckResult, ...] = ()
    usd: float | None = None
    tokens: int | None = None

    def _judged(self, snapshot: Snapshot, trigger: Trigger, result: str, target: Stage) -> Change | Refusal:
        job = held(snapshot, self.fence, Stage.REVIEW)
        if isinstance(job, Refusal):
            return job
        known = _known(job.record.runs[-1], self.usd, self.tokens)
        verdict = Verdict(self.fence.epoch, result, self.at, self.fence.host, self.checks)
        record = replace(ended_run(job.record, self.at, result, **known), verdict=verdict)
        after = self.placed(job, target, record)
        hold = scope_hold(after, self.by, self.at)
        words = hold.text if hold else ""
        return self.change(
            trigger,
            job,
            replace(after, record=replace(after.record, hold=hold)),
            host=self.fence.host,
            detail=words,
            spend=returned_spend(snapshot, job, known["usd"]),
            extra=(("Aq-Reason", words), *_cost(self.usd, self.tokens)),
        )


class Verified(_Judging, kw_only=True):
    """Every check passed: review to testing."""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused without the lease."""
        return self._judged(snapshot, Trigger.VERIFIED, "passed", Stage.TESTING)


class Unverified(_Judging, kw_only=True):
    """No check was asked for: the job stays in review for a person, with the verdict `none`."""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused without the lease."""
        return self._judged(snapshot, Trigger.UNVERIFIED, "none", Stage.REVIEW)


class Fail(Operation, kw_only=True):
    """The run failed with a class: again, dead letter, or failed; or on hold, when its budget stopped it."""

    fence: Fence
    failure: str
    reason: str
    branch: str = ""
    tip: str = ""
    usd: float | None = None
    tokens: int | None = None
    checks: tuple[CheckResult, ...] = ()
    model: str = ""
    version: str = ""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused without the lease."""
        job = held(snapshot, self.fence, Stage.BUILDING, Stage.REVIEW)
        if isinstance(job, Refusal):
            return job
        following = after_failure(job, self.failure, self.at)
        run = job.record.runs[-1]
        kept: dict[str, Any] = {
            "branch": self.branch or run.branch,
            "tip": self.tip or run.tip,
            **_known(run, self.usd, self.tokens),
            **engine_facts(run, self.model, self.version),
        }
        record = ended_run(job.record, self.at, self.failure, self.reason, **kept)
        verdict = (
            Verdict(self.fence.epoch, "failed", self.at, self.fence.host, self.checks)
            if self.checks
            else None
        )
        hold = (
            Note(self.by, self.at, hold_words(job, record.runs[-1]), OVERRUN)
            if following.held
            else record.hold
        )
        record = replace(record, not_before=following.not_before, verdict=verdict, hold=hold)
        after = self.placed(job, following.stage, record)
        extra = (
            ("Aq-Reason", self.reason),
            ("Aq-Class", self.failure),
            ("Aq-Branch", kept["branch"]),
            *_cost(self.usd, self.tokens),
        )
        return self.change(
            Trigger.FAIL,
            job,
            after,
            host=self.fence.host,
            detail=following.reason,
            spend=returned_spend(snapshot, job, kept["usd"]),
            extra=extra,
        )


class Hold(Operation, kw_only=True):
    """The job stays where it is until a named person acts. A lease is dropped with the reason."""

    job: str
    reason: str
    fence: Fence | None = None
    usd: float | None = None
    tokens: int | None = None

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when a lease is held and not ours, or the stage cannot wait."""
        job = held(snapshot, self.fence, Stage.REVIEW) if self.fence else snapshot.find(self.job)
        if isinstance(job, Refusal):
            return job
        if job is None or job.stage in (Stage.BUILDING, *BROKEN) or (job.lease and not self.fence):
            return missing_job(snapshot, self.job)
        if is_overrun(job.record):
            # Another hold in its place could be lifted without the money that it takes.
            return Refusal(f"{job.id} is on hold already, as its budget is spent", done=True)
        record, spend = job.record, {}
        if self.fence:
            known = _known(record.runs[-1], self.usd, self.tokens)
            spend = returned_spend(snapshot, job, known["usd"])
            record = ended_run(record, self.at, "held", self.reason, **known)
        record = replace(record, hold=Note(self.by, self.at, self.reason))
        return self.change(
            Trigger.HOLD,
            job,
            self.placed(job, job.stage, record),
            host=self.fence.host if self.fence else "",
            detail=self.reason,
            spend=spend,
        )


class FixRound(Operation, kw_only=True):
    """A failed verify goes back to the engine, in review and under the same lease. Written before the
    engine is asked, with the checks that failed; and again when it left other work, with the branch to
    be verified: whoever verifies it next looks at the newest."""

    fence: Fence
    number: int
    failed: tuple[CheckResult, ...] = ()
    branch: str = ""
    tip: str = ""
    pushed: bool = False
    usd: float | None = None
    tokens: int | None = None
    outside: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: Changes | None = None

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused without the lease, or without the branch on the remote."""
        job = held(snapshot, self.fence, Stage.REVIEW)
        if isinstance(job, Refusal):
            return job
        run = job.record.runs[-1]
        known = next((one for one in run.rounds if one.number == self.number), None)
        if known and self.tip in ("", known.tip):
            return Refusal(f"fix round {self.number} of {job.id} is written already", done=True)
        if self.tip and not self.pushed:
            return _not_pushed(self.branch, job)
        return self._written(job, run, _seen(self, snapshot) if self.tip else {})

    def _written(self, job: Job, run: Run, seen: dict[str, Any]) -> Change:
        known = _known(run, self.usd, self.tokens)
        fields: dict[str, Any] = {"branch": self.branch, "tip": self.tip} if self.tip else {}
        told = {"failed": self.failed} if self.failed else {}
        rounds = run.rounds_with(self.number, at=self.at, **told, **fields, **known)
        record = replace(job.record, **fields).with_last_run(rounds=rounds, **fields, **known, **seen)
        words = "; ".join(check.words for check in self.failed)
        return self.change(
            Trigger.FIX_ROUND,
            job,
            self.placed(job, job.stage, record, job.lease),
            host=self.fence.host,
            detail=f"round {self.number}: {words or 'done'}",
            extra=(
                ("Aq-Fix-Round", str(self.number)),
                ("Aq-Branch", self.branch),
                ("Aq-Reason", words),
                *_cost(self.usd, self.tokens),
            ),
        )


class Fenced(Operation, kw_only=True):
    """A late result was refused. Its branch is kept and named."""

    fence: Fence
    branch: str = ""
    tip: str = ""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused only when there is no such job, the lease is still ours, or the result is not late: its
        host died before it heard that the push had arrived."""
        job = snapshot.find(self.fence.job)
        if job is None or job.held_by(self.fence):
            return missing_job(snapshot, self.fence.job)
        if self.tip and any((run.nonce, run.tip) == (self.fence.nonce, self.tip) for run in job.record.runs):
            return Refusal(f"this result of {job.id} has landed already", done=True)
        note = f"late result of {self.fence.host}, epoch {self.fence.epoch}" + (
            f": {self.branch} {self.tip}" if self.tip else ""
        )
        if any(entry.text == note for entry in job.record.feedback):
            return Refusal("noted already", done=True)
        extra = (("Aq-Branch", self.branch), ("Aq-Fenced-Epoch", str(self.fence.epoch)))
        return self.change(Trigger.FENCED, job, _noted(self, job, note), host=self.fence.host, extra=extra)


class Delivered(Operation, kw_only=True):
    """A host merged the shipped work as `oid` and read the result back, or opened a pull request for it at
    `url`."""

    job: str
    oid: str
    url: str = ""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused unless delivery is wanted."""
        job = snapshot.archive.get(self.job)
        if job is None or job.record.delivery != "wanted":
            return missing_job(snapshot, self.job)
        what = f"{self.url} {self.oid}".strip()
        record = replace(job.record, delivery="delivered", delivered=what, hold=None)
        return self.change(
            Trigger.DELIVERED,
            job,
            self.placed(job, Stage.SHIPPED, record),
            host=self.by,
            extra=(("Aq-Delivered", what),),
        )


def _noted(operation: Operation, job: Job, text: str) -> Job:
    """The job with one more line in its record, and nothing else changed."""
    record = replace(job.record, feedback=(*job.record.feedback, Note(operation.by, operation.at, text)))
    return operation.placed(job, job.stage, record, job.lease)
