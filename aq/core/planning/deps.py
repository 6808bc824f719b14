"""What depends on what: circles, who waits for whom, and what a failure holds up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from aq.core.job import Job
from aq.core.lifecycle import LIVE
from aq.core.manifest import Deps
from aq.core.snapshot import Snapshot
from aq.core.value import Value

# A tangle of more jobs than this is told by the way of some.
MAX_WAYS = 50
NO_DEPS = Deps()
Edges = Mapping[str, tuple[str, ...]]


def names_of(deps: Deps) -> tuple[str, ...]:
    """The jobs that are needed, in either way."""
    return (*deps.shipped, *deps.testing)


def path_text(path: Iterable[str]) -> str:
    """A path as people read it."""
    return " -> ".join(path)


def circular(path: Iterable[str]) -> str:
    """Why a job of a circle never starts."""
    return f"its deps go in a circle: {path_text(path)}"


def way_back(job: str, needs: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """The shortest way from a job to itself, both ends included; nothing when it does not need itself."""
    before: dict[str, str] = {}
    todo = deque([job])
    while todo:
        name = todo.popleft()
        for dep in needs(name):
            if dep == job:
                way = [job, name]
                while way[-1] != job:
                    way.append(before[way[-1]])
                return tuple(reversed(way))
            if dep not in before:
                before[dep] = name
                todo.append(dep)
    return ()


def circles(edges: Edges) -> dict[str, tuple[str, ...]]:
    """For each job that needs itself, the way there: `a -> b -> a`. In a tangle of very many, the later
    ones are told the way of the first."""
    found: dict[str, tuple[str, ...]] = {}
    if not any(edges.values()):
        return found
    for tangle in _tangles(edges):
        members = set(tangle)
        inside = {name: tuple(dep for dep in edges[name] if dep in members) for name in tangle}
        ways = [way_back(name, inside.__getitem__) for name in tangle[:MAX_WAYS]]
        found.update({name: ways[min(at, MAX_WAYS - 1)] for at, name in enumerate(tangle) if ways[0]})
    return found


def _tangles(edges: Edges) -> Iterator[list[str]]:
    """The groups of jobs that all need each other, each in order, by Tarjan's way without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    for start in sorted(edges):
        todo = [] if start in index else [(start, 0)]
        while todo:
            name, at = todo.pop()
            if at == 0:
                index[name] = low[name] = len(index)
                stack.append(name)
                on_stack.add(name)
            deps = [dep for dep in edges[name] if dep in edges]
            fresh = next((n for n in range(at, len(deps)) if deps[n] not in index), None)
            if fresh is not None:
                todo += [(name, fresh + 1), (deps[fresh], 0)]
                continue
            low[name] = min([low[name], *(low[dep] for dep in deps if dep in on_stack)])
            if low[name] == index[name]:
                group = list(_popped(stack, name))
                on_stack.difference_update(group)
                yield sorted(group)


def _popped(stack: list[str], last: str) -> Iterator[str]:
    """What lies on the stack above this name, and the name."""
    while (name := stack.pop()) != last:
        yield name
    yield last


def open_edges(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """What each live job needs, as far as that needs something too: only these can form a circle."""
    needs = {
        job.id: names_of(job.manifest.deps)
        for job in snapshot.jobs(*LIVE)
        if job.manifest.deps != NO_DEPS and not job.problem
    }
    return {name: tuple(dep for dep in deps if dep in needs) for name, deps in needs.items()}


def circle_with(job: str, deps: Deps, snapshot: Snapshot) -> tuple[str, ...]:
    """The circle that a job with these deps would be in, or nothing."""
    return way_back(job, lambda name: names_of(deps) if name == job else _open_needs(name, snapshot))


def _open_needs(name: str, snapshot: Snapshot) -> tuple[str, ...]:
    """What a job needs, if it is in play: looked up one by one, for there may be very many jobs."""
    for stage in LIVE:
        found = snapshot.stages.get(stage, {}).get(name)
        if found and not found.problem:
            return names_of(found.manifest.deps)
    return ()


class Node(Value):
    """One job of the graph. `stage` is empty for a job that nobody knows."""

    job: str
    stage: str
    title: str
    needs: tuple[str, ...]


def graph(snapshot: Snapshot, only: str = "") -> dict[str, Node]:
    """The jobs that need others, with all that they need; with `only`, the part around one job."""
    nodes: dict[str, Node] = {}
    todo = [job.id for job in snapshot.jobs() if job.manifest.deps != NO_DEPS]
    todo += [only] if only and snapshot.find(only) else []
    while todo:
        name = todo.pop()
        if name in nodes:
            continue
        found = snapshot.find(name)
        nodes[name] = _node(name, found)
        todo += nodes[name].needs
    return {name: nodes[name] for name in sorted(nodes if not only else _around(only, nodes))}


def _node(name: str, found: Job | None) -> Node:
    if found is None:
        return Node(name, "", "", ())
    return Node(name, str(found.stage), found.manifest.title, names_of(found.manifest.deps))


def _around(job: str, nodes: Mapping[str, Node]) -> set[str]:
    """A job with all below and all above it."""
    above: dict[str, list[str]] = {}
    for node in nodes.values():
        for dep in node.needs:
            above.setdefault(dep, []).append(node.job)
    found: set[str] = set()
    for ways in ({name: list(node.needs) for name, node in nodes.items()}, above):
        todo, seen = [job], set[str]()
        while todo:
            name = todo.pop()
            if name in nodes and name not in seen:
                seen.add(name)
                todo += ways.get(name, [])
        found |= seen
    return found
