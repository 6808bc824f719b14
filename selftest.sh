#!/usr/bin/env bash
# Sets up a virtual environment and runs everything that must hold: lint, types, floors, tests, and an
# end-to-end run with two hosts through the installed command. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")"

python=${PYTHON:-python3}
venv=${AQ_VENV:-.venv}
jobs=${AQ_TEST_JOBS:-}
# The tests start aq a thousand times over: its modules are compiled once, not each time.
unset PYTHONDONTWRITEBYTECODE

step() { printf '\n== %s\n' "$1"; }

scratch=$(mktemp -d)

types() { mypy; }
floors() { lint-imports >/dev/null || lint-imports; }
demo() { mkdir "$scratch/demo" && TMPDIR=$scratch/demo aq demo --clean && rmdir "$scratch/demo"; }

# Steps that keep at most one core busy run beside the tests of core; what they say is shown in its turn.
begin() {
    set -m # A process group of its own, to end all of it.
    "$1" >"$scratch/$1.out" 2>&1 &
    echo $! >"$scratch/$1.pid"
    set +m
}
finish() {
    wait "$(cat "$scratch/$1.pid")" || { cat "$scratch/$1.out"; exit 1; }
    tail -n 1 "$scratch/$1.out"
}

leave() {
    for pid in "$scratch"/*.pid; do
        [ ! -e "$pid" ] || kill -- "-$(cat "$pid")" 2>/dev/null || true
    done
    wait
    rm -rf "$scratch"
}
trap leave EXIT

step "environment in $venv"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed; name one with PYTHON=python3.12 ./selftest.sh" >&2
    exit 1
}
# What is never imported need not be compiled.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile -e '.[dev]'
PATH="$(cd "$venv/bin" && pwd):$PATH"

# Tests wait for processes and leases, too: one more runs than there are cores.
jobs=${jobs:-$(python -c 'import os; print((os.cpu_count() or 1) + 1)')}

step "lint"
ruff check .
ruff format --check .
begin types
begin floors
begin demo
step "core: every branch"
python -m pytest -n "$jobs" --no-cov-on-fail --cov=aq.core --cov-branch --cov-fail-under=100 tests/core
step "types"
finish types
step "floors"
finish floors
step "end to end: two hosts through the installed command, and nothing is left of them"
finish demo
step "tests"
python -m pytest -n "$jobs" --dist worksteal --ignore=tests/core "$@"
step "all passed"
