"""`aq graph`: what depends on what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import typer

from aq.core.errors import AqError, UsageError
from aq.core.planning.deps import Node, circles, circular, graph
from aq.core.value import as_dict
from aq.ui.cli.common import complete_jobs, here
from aq.ui.out import clean, say, say_json, style


def show_graph(
    job: str = typer.Argument("", help="Only what is around this job.", autocompletion=complete_jobs),
    form: str = typer.Option("text", "--format", help="text or mermaid."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show dependencies: below each job the jobs that wait for it."""
    if form not in ("text", "mermaid"):
        raise UsageError(f"there is no format {form!r}", "write text or mermaid")
    with here(fetch=True) as queue:
        snapshot = queue.ledger.snapshot()
        if job and snapshot.find(job) is None:
            raise AqError(f"there is no job {job}", "`aq status --all` lists the jobs")
        nodes = graph(snapshot, job)
    around = circles({name: node.needs for name, node in nodes.items()})
    if as_json:
        say_json(
            {"jobs": [as_dict(node) for node in nodes.values()], "circles": sorted(set(around.values()))}
        )
        return
    for line in mermaid(nodes) if form == "mermaid" else tree(nodes):
        say(line)
    for path in sorted({min(around[name] for name in way) for way in around.values()}):
        say(style(f"! {clean(circular(path))}", "red"))


def tree(nodes: Mapping[str, Node]) -> Iterator[str]:
    """The graph as text: each job that needs nothing, and below each job those that need it."""
    if not nodes:
        yield "No job depends on another."
        return
    waiting: dict[str, list[str]] = {name: [] for name in nodes}
    for node in nodes.values():
        for dep in node.needs:
            waiting[dep].append(node.job)
    told: set[str] = set()
    roots = [name for name, node in nodes.items() if not node.needs]
    # What is in a circle hangs below no root.
    for root in [*roots, *nodes]:
        if root not in told:
            yield from _branch(root, nodes, waiting, told)


def _branch(
    root: str, nodes: Mapping[str, Node], waiting: Mapping[str, list[str]], told: set[str]
) -> Iterator[str]:
    todo = [(root, "", "")]
    while todo:
        name, lead, below = todo.pop()
        again = name in told
        told.add(name)
        yield f"{lead}{_label(nodes[name])}{' (see above)' if again and waiting[name] else ''}"
        children = [] if again else sorted(set(waiting[name]))
        for at, child in reversed(list(enumerate(children))):
            last = at == len(children) - 1
            branch, rest = ("└─ ", "   ") if last else ("├─ ", "│  ")
            todo.append((child, below + branch, below + rest))


def _label(node: Node) -> str:
    also = f", needs {len(node.needs)}" if len(node.needs) > 1 else ""
    return f"{clean(node.job)} ({node.stage or 'no such job'}{also})"


def mermaid(nodes: Mapping[str, Node]) -> Iterator[str]:
    """The graph for a Markdown page: an arrow from each job to those that wait for it."""
    yield "graph TD"
    names = {name: f"j{at}" for at, name in enumerate(nodes)}
    for name, node in nodes.items():
        yield f'    {names[name]}["{name}<br/>{node.stage or "no such job"}"]'
    for name, node in nodes.items():
        for dep in node.needs:
            yield f"    {names[dep]} --> {names[name]}"
