"""`python -m tests.fuzz TARGET [--runs N] [--seconds N]`: one target under atheris, from the seeds and
what was found before. Needs `pip install atheris` (Linux). A crash leaves its input in a file."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["aq"]):
        from tests.fuzz.targets import TARGETS, seeds

    asked = argparse.ArgumentParser(prog="python -m tests.fuzz")
    asked.add_argument("target", choices=sorted(TARGETS))
    asked.add_argument("--runs", type=int, default=-1)
    asked.add_argument("--seconds", type=int, default=0)
    asked.add_argument("--corpus", type=Path)
    options = asked.parse_args()
    corpus = options.corpus or Path(tempfile.mkdtemp(prefix="aq-fuzz-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-runs={options.runs}", f"-max_total_time={options.seconds}", "-max_len=4096", "-timeout=1"]
    atheris.Setup([sys.argv[0], str(corpus), *limits], TARGETS[options.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
