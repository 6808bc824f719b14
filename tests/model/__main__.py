"""`python -m tests.model [SEARCH ...]` searches the protocol model and prints what it found. Without names
it makes the short searches and tries every mutant and every sight."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.model.search import FULL, SHORT, Search, absent, build, declared, run

_HEAD = "| search | states | depth | seconds | MB | law broken |\n| --- | ---: | ---: | ---: | ---: | --- |"


def _search(search: Search, folder: Path, *, every: bool) -> bool:
    pan = build(search, folder / search.name)
    tried = [mutant for mutant in declared() if every and mutant.search == search.name]
    fine = True
    for mutant in (None, *tried):
        found = run(pan, search, mutant.number if mutant else 0, hash_bits=22 if search in SHORT else 26)
        name = f"{search.name}, {mutant.name}" if mutant else search.name
        cost = f"{found.states:,} | {found.depth} | {found.seconds:.1f} | {found.megabytes:.0f}"
        sys.stdout.write(f"| {name} | {cost} | {found.law or 'none'} |\n")
        sys.stdout.flush()
        fine &= found.law == (mutant.law if mutant else "")
    return fine


def main(names: list[str]) -> int:
    """Search what is named; 1 when the model breaks a law or a mutant does not break its own."""
    known = {search.name: search for search in (*SHORT, *FULL)}
    wrong = [name for name in names if name not in known]
    if wrong or absent():
        why = f"no search is called {wrong[0]}: {', '.join(known)}" if wrong else f"install {absent()} first"
        sys.stderr.write(why + "\n")
        return 2
    sys.stdout.write(_HEAD + "\n")
    with tempfile.TemporaryDirectory() as folder:
        asked = [known[name] for name in names] or list(SHORT)
        fine = [_search(search, Path(folder), every=not names) for search in asked]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
