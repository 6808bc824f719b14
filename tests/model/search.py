"""Searches of the protocol model: which there are, how they are built, and what they found. What the
model says is in `aq.pml`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

MODEL = Path(__file__).parent / "aq.pml"
TOOLS = ("spin", "gcc")
ENDS = "ends"
_BREADTH = ("-DSAFETY", "-DBFS")
_DEEP = ("-O2", "-DSAFETY", "-DCOLLAPSE")
_REWIND = ("-DPEOPLE=0", "-DREWINDS=1", "-DRETRY=0", "-DINFRA=0")


@dataclass(frozen=True, slots=True)
class Search:
    """One configuration. `epochs` is its bound for a complete search, where mutants are given more."""

    name: str
    meaning: str
    defines: tuple[str, ...]
    compiler: tuple[str, ...]
    options: tuple[str, ...] = ()
    epochs: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to: the law that was broken, or nothing; and what it cost."""

    law: str
    states: int
    depth: int
    megabytes: float
    seconds: float


SHORT = (
    Search("calm", "people, stops and kills; no rewind", (), _BREADTH, epochs=1),
    Search("rewind", "the hub goes back once; no people", _REWIND, _BREADTH, epochs=1),
    Search(
        "ending",
        "a host may die for ever; the job still ends",
        ("-DENDING", "-DPEOPLE=0", "-DKILLS=1", "-DRETRY=0", "-DINFRA=0", "-DEPOCHS=3"),
        (),
        ("-a",),
    ),
)
FULL = (
    Search("calm-full", "as calm, 2 epochs", (), _BREADTH),
    Search("rewind-full", "as rewind, 2 epochs", _REWIND, _DEEP),
    Search("hosts-full", "3 hosts; no people, no rewind", ("-DHOSTS=3", "-DPEOPLE=0"), _DEEP),
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One line of the model that can be made wrong, and the law and search that must notice; or, with the
    law `reached`, something that must be able to happen."""

    name: str
    number: int
    law: str
    search: str
    meaning: str


REACHED = "reached"


def declared() -> list[Mutant]:
    """The mutants and the sights that the model declares."""
    line = re.compile(r"^#define (\w+) (\d+) +/\* (\w+), (\w+): (.*) \*/$", re.MULTILINE)
    return [Mutant(m[1], int(m[2]), m[3], m[4], m[5]) for m in line.finditer(MODEL.read_text("utf-8"))]


def mutants() -> list[Mutant]:
    """The mutants alone."""
    return [one for one in declared() if one.law != REACHED]


def laws() -> list[str]:
    """The laws in the model's order, with `reached`, and the one about endings."""
    listed = re.search(r"^mtype = \{(.*?)\};", MODEL.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert listed
    return [*re.findall(r"\w+", listed[1]), ENDS]


def absent() -> str:
    """What is missing to search, or nothing."""
    return ", ".join(tool for tool in TOOLS if not shutil.which(tool))


def build(search: Search, folder: Path) -> Path:
    """The program that searches, made in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(MODEL, folder / "aq.pml")
    defines = (*search.defines, *(["-DNO_MUTANT"] if search in FULL else []))
    subprocess.run(["spin", "-a", *defines, "aq.pml"], cwd=folder, check=True, capture_output=True)
    flags = ["-O1", *search.compiler, "-DNOREDUCE", "-DNOFAIR", "-w", "-o", "pan", "pan.c"]
    subprocess.run(["gcc", *flags], cwd=folder, check=True, capture_output=True)
    return folder / "pan"


def run(pan: Path, search: Search, mutant: int = 0, *, hash_bits: int = 22) -> Found:
    """Search everything, or up to the first error of a mutant."""
    settings = {**os.environ, "AQ_MUTANT": str(mutant)}
    if search.epochs and not mutant:
        settings["AQ_EPOCHS"] = str(search.epochs)
    began = time.monotonic()
    command = [str(pan), *search.options, "-m1000000", f"-w{hash_bits}"]
    done = subprocess.run(command, cwd=pan.parent, env=settings, capture_output=True, text=True, check=False)
    return _read(done.stdout, time.monotonic() - began)


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if not found:
        raise RuntimeError(f"the search did not end well:\n{text[-2000:]}")
    return float(found[1])


def _read(text: str, seconds: float) -> Found:
    errors = _number(r"errors: (\d+)", text)
    complete = "max search depth too small" not in text and "Search not completed" not in text
    if not errors and not complete:
        raise RuntimeError(f"the search is not complete:\n{text[-2000:]}")
    return Found(
        _law(text) if errors else "",
        int(_number(r"(\d+) states, stored", text)),
        int(_number(r"depth reached (\d+)", text)),
        _number(r"([\d.]+)\s+total actual memory", text),
        seconds,
    )


def _law(text: str) -> str:
    """The law that an error names: spin prints an mtype by its number, counted from the last."""
    violated = re.search(r"assertion violated \(*(\d+)&&", text)
    if violated:
        return laws()[:-1][::-1][int(violated[1]) - 1]
    return ENDS if "acceptance cycle" in text else text[:500]
