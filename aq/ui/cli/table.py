"""The table of commands. The README's table is made from it."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """Where a command is, and its one line of help."""

    module: str
    function: str
    help: str


COMMANDS: dict[str, Entry] = {
    "init": Entry("init", "init", "Make a queue here, or join the one on a remote."),
    "add": Entry("add", "add", "Submit job files, or a prompt given as text."),
    "check": Entry("check", "check", "Check job files and the queue's settings without submitting."),
    "run": Entry("run", "run_host", "Run this machine's loop: claim, run, verify, land."),
    "status": Entry("status", "status", "Show the board."),
    "board": Entry("board", "board", "Show the board, or with --at as it was."),
    "show": Entry("show", "show", "Show one job: its file, record, runs and verdict."),
    "prompt": Entry("prompt", "prompt", "Print what an engine would be told of a job."),
    "log": Entry("log", "log", "Show a job's timeline, or the queue's, from the commits."),
    "audit": Entry("audit", "audit", "Replay the whole history, and name each commit that breaks a law."),
    "trust": Entry("trust", "trust", "Say whose signatures count: init, add, remove, list, verify, accept."),
    "logs": Entry("logs", "logs", "Print the output of a job's run on this machine."),
    "why": Entry("why", "why", "Say why a job waits, and each host's score for it or what refuses it."),
    "plan": Entry("plan", "plan", "Show what the fleet would do next, without doing it."),
    "graph": Entry("graph", "show_graph", "Show what depends on what, as a tree or for Mermaid."),
    "profiles": Entry("profiles", "profiles", "List the profiles: what each gives, and its persona."),
    "review": Entry("review", "review", "Show what waits for you: size, checks, cost, risk, gates."),
    "ship": Entry("gate", "ship", "Accept tested work: testing to shipped."),
    "promote": Entry("gate", "promote", "Accept reviewed work: review to testing."),
    "reject": Entry("gate", "reject", "Refuse work, with a message; --requeue tries again."),
    "approve": Entry("gate", "approve", "Record your approval of a job."),
    "requeue": Entry("gate", "requeue", "Run a failed or dead-lettered job again."),
    "cancel": Entry("gate", "cancel", "End a job, stopping it where it runs."),
    "pause": Entry("gate", "pause", "Stop all claims, or those of one job."),
    "resume": Entry("gate", "resume", "Lift a pause, or a job's hold."),
    "drain": Entry("drain", "drain", "Let this machine's host finish its work and take no more."),
    "hosts": Entry("hosts", "hosts", "List the hosts: slots, leases, capabilities, last beat."),
    "remote": Entry("remote", "remote", "Show the hub, or move the queue to another one."),
    "doctor": Entry(
        "doctor", "doctor", "Find what is wrong with this host or the queue; --fix what is safe."
    ),
    "clean": Entry("clean", "clean", "Remove old run folders, logs and host refs."),
    "demo": Entry("demo", "demo", "Show the whole thing in a temporary folder, in under a minute."),
    "schema": Entry("schema", "schema", "Print the JSON Schema of job files, for editors."),
    "completion": Entry("completion", "completion", "Print the completion script for your shell."),
}
