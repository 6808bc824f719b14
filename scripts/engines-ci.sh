#!/usr/bin/env bash
# Installs the real agent CLIs that the tests marked `engines` drive, at pinned versions, into a cache
# outside the tree. Nothing is fatal: what cannot be installed is reported, and its tests are skipped.
#   scripts/engines-ci.sh [NAME...]     default: claude codex opencode; `all`: those and gemini copilot
#   scripts/engines-ci.sh --where       prints the cache folder
set -uo pipefail

root=${AQ_ENGINES:-${XDG_CACHE_HOME:-$HOME/.cache}/aq/engines}

package() {
    case $1 in
    claude) echo npm @anthropic-ai/claude-code 2.1.197 ;;
    codex) echo npm @openai/codex 0.169.0 ;;
    gemini) echo npm @google/gemini-cli 0.61.0 ;;
    copilot) echo npm @github/copilot 1.0.102 ;;
    opencode) echo npm opencode-ai 1.18.33 ;;
    qwen) echo npm @qwen-code/qwen-code 0.15.10 ;;
    aider) echo pip aider-chat 0.86.2 ;;
    mini) echo pip mini-swe-agent 2.4.6 mcp ;;
    *) return 1 ;;
    esac
}

with_npm() { # FOLDER PACKAGE VERSION: it must run, since some packages hold no binary for some platforms
    rm -rf "$1.part" && mkdir -p "$1.part/home" &&
        npm install --prefix "$1.part" --no-audit --no-fund --loglevel=error "$2@$3" &&
        HOME="$1.part/home" "$1.part/node_modules/.bin/$(basename "$1")" --version </dev/null &&
        rm -rf "$1" "$1.part/home" && mv "$1.part" "$1"
}

with_pip() { # FOLDER PACKAGE VERSION [MORE...]: a virtual environment cannot be moved, so it is made in place
    local folder=$1 pinned="$2==$3"
    shift 3
    rm -rf "$folder" && "${PYTHON:-python3}" -m venv "$folder" &&
        "$folder/bin/pip" install --quiet --disable-pip-version-check "$pinned" "$@"
}

install() { # NAME
    local name=$1 folder=$root/$1 words log=$root/$1.log
    words=$(package "$name") || { echo "engines: no engine $name is known here"; return; }
    [ "$(cat "$folder/.pinned" 2>/dev/null)" = "$words" ] && { echo "engines: $name is there"; return; }
    set -- $words
    command -v "${1/pip/${PYTHON:-python3}}" >/dev/null || { echo "engines: $name skipped: no $1"; return; }
    local how=$1
    shift
    SECONDS=0
    if "with_$how" "$folder" "$@" >"$log" 2>&1; then
        echo "$words" >"$folder/.pinned" && rm -f "$log"
        echo "engines: $name $2 installed in $SECONDS s"
    else
        rm -rf "$folder" "$folder.part"
        echo "engines: $name $2 could not be installed, its tests will be skipped; $log says:"
        grep -i -m 3 error "$log" || tail -n 3 "$log"
    fi
}

if [ "${1:-}" = --where ]; then
    echo "$root"
    exit
fi
mkdir -p "$root" || { echo "engines: $root cannot be made"; exit 0; }
[ $# -gt 0 ] || set -- claude codex opencode
[ "$1" != all ] || set -- claude codex opencode gemini copilot
for name; do install "$name"; done
exit 0
