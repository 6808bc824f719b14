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

# The tests make some 450 000 small files, which take less time in memory than on a disk: they go there if it
# has room enough and lets programs be started. TMPDIR says otherwise, and so does a real codex to be tested:
# it walls itself in, and cannot write there.
memory=
in_memory() {
    local folder=/dev/shm
    [ -d "$folder" ] && [ -w "$folder" ] || return 1
    [ ! -d "${AQ_ENGINES:-$HOME/.cache/aq/engines}/codex" ] || return 1
    [ "$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')" -gt 4000000 ] || return 1
    [ "$(df -Pi "$folder" | awk 'NR == 2 { print $4 }')" -gt 1000000 ] || return 1
    memory=$(mktemp -d "$folder/aq-selftest.XXXXXX")
    printf '#!/bin/sh\n' >"$memory/program"
    chmod +x "$memory/program"
    "$memory/program" 2>/dev/null || { rm -rf "$memory"; memory=; return 1; }
}
[ -n "${TMPDIR:-}" ] || ! in_memory || export TMPDIR="$memory"
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

tests() {
    local code=0
    python -m pytest -n "$jobs" "$@" || code=$?
    [ "$code" != 0 ] || return 0
    if [ "$code" = 1 ] && [ -n "$memory" ]; then
        echo "what the tests left is in $memory, in memory: remove it when you have looked" >&2
        memory=
    fi
    exit "$code"
}

leave() {
    for pid in "$scratch"/*.pid; do
        [ ! -e "$pid" ] || kill -- "-$(cat "$pid")" 2>/dev/null || true
    done
    wait
    rm -rf "$scratch"
    [ -z "$memory" ] || rm -rf "$memory"
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
tests --no-cov-on-fail --cov=aq.core --cov-branch --cov-fail-under=100 tests/core
step "types"
finish types
step "floors"
finish floors
step "end to end: two hosts through the installed command, and nothing is left of them"
finish demo
step "tests"
tests --dist worksteal --ignore=tests/core "$@"
step "all passed"
