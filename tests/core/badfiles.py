"""Bad job files: what is wrong with each, its bytes, and the exact words that a person gets."""

from __future__ import annotations

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]"
CAPABILITY = "write os:linux, engine:claude, has:docker or node>=20"
CHECK = "write file_exists, command, test_passes or git_clean"
DURATION = "write a number and a unit: 90s, 45m, 2h or 1d"
ID = "use a-z, 0-9, - and _, at most 64, not a device name"
LEAVES = "write a path relative to it, with / and without .."
ONE_LINE = "one line of at most 200 printable characters is expected; shorten it"
SINGLE = "text is expected; write a single value here"
TABLE = "see the table of keys in the README"
CONTROL = "only tab and newline may stand in a job file"


def front(text: str) -> bytes:
    """A job file with this front matter, which starts on line 2."""
    return f"---\n{text}\n---\nDo it.\n".encode()


FILES: dict[str, tuple[bytes, str]] = {
    # The file as a whole.
    "a blank file": (b"", "1: the job has no text; write the prompt below the front matter"),
    "a file of blanks": (b" \n\t\n", "1: the job has no text; write the prompt below the front matter"),
    "no body": (
        b"---\nengine: shell\n---\n",
        "1: the job has no text; write the prompt below the front matter",
    ),
    "a byte order mark": (
        b"\xef\xbb\xbf" + front("engine: shell"),
        "1: the file starts with a byte order mark; save it as UTF-8 without BOM",
    ),
    "not UTF-8": (front("engine: shell") + b"caf\xe9\n", "5: the text is not UTF-8; save the file as UTF-8"),
    "UTF-16": ("engine: shell".encode("utf-16"), "1: the text is not UTF-8; save the file as UTF-8"),
    "a NUL": (front("engine: shell") + b"a\x00b", f"5: control character U+0000; {CONTROL}"),
    "an escape sequence": (front("title: \x1b[31mred"), f"2: control character U+001B; {CONTROL}"),
    "a DEL": (b"x\n\x7f", f"2: control character U+007F; {CONTROL}"),
    "line ends of an old Mac": (
        b"---\rengine: shell\r---\rDo it.",
        f"1: control character U+000D; {CONTROL}",
    ),
    "2 MB": (b"x" * 2_000_000, "1: the file has 2000000 bytes; the limit is 1048576"),
    "one byte too many": (b"x" * 1_048_577, "1: the file has 1048577 bytes; the limit is 1048576"),
    "64 KiB and more of front matter": (
        front("title: " + "x" * 65_536),
        "1: the front matter has 65544 bytes; the limit is 65536",
    ),
    "an unclosed fence": (
        b"---\nengine: shell\nDo it.\n",
        "1: the front matter is never closed; end it with a line of three dashes",
    ),
    "a fence that closes with four dashes": (
        b"---\nengine: shell\n----\nDo it.\n",
        "1: the front matter is never closed; end it with a line of three dashes",
    ),
    "only a fence": (b"---", "1: the front matter is never closed; end it with a line of three dashes"),
    "blank lines above the front matter": (
        b"\n\n" + front("engine: shell"),
        "3: the front matter must start on line 1; remove the blanks above it",
    ),
    "blanks before the fence": (
        b"  " + front("engine: shell"),
        "1: the front matter must start on line 1; remove the blanks above it",
    ),
    # The YAML.
    "50 KB of brackets": (front("a: " + "[" * 50_000), "2: YAML nested too deeply; the limit is 16 levels"),
    "50 KB of braces": (front("{a: " * 12_500), "2: YAML nested too deeply; the limit is 16 levels"),
    "nested on many lines": (
        front("\n".join(" " * n + "a:" for n in range(40))),
        "18: YAML nested too deeply; the limit is 16 levels",
    ),
    "too many values": (
        front("labels: [" + "x, " * 2_000 + "x]"),
        "2: too many YAML values; the limit is 2000",
    ),
    "an alias bomb": (front(BOMB), "2: YAML anchors and aliases are not allowed; write the value out"),
    "a merge-key bomb": (
        front("engine: shell\n<<: [*a, *a, *a]"),
        "3: YAML anchors and aliases are not allowed; write the value out",
    ),
    "an anchor on a mapping": (
        front("budget: &b {usd: 1}"),
        "2: YAML anchors and aliases are not allowed; write the value out",
    ),
    "a merge key without an anchor": (
        front("<<: {engine: shell}"),
        "2: unknown key '<<'; `aq schema` lists the keys",
    ),
    "a tag": (
        front("engine: !!str shell"),
        "2: YAML tags are not allowed; remove the part that starts with !",
    ),
    "a tag that builds an object": (
        front("title: !!python/object/apply:os.system [x]"),
        "2: YAML tags are not allowed; remove the part that starts with !",
    ),
    "a duplicate key": (
        front("engine: shell\nlock: a\nengine: claude"),
        "4: duplicate key 'engine'; first given on line 2",
    ),
    "a nested duplicate key": (
        front("budget:\n  usd: 1\n  usd: 2"),
        "4: duplicate key 'usd'; first given on line 3",
    ),
    "two documents": (
        front("engine: shell\n...\n--- # second\nlock: a"),
        "4: more than one YAML document; keep only one",
    ),
    "a list at the root": (
        front("- engine: shell"),
        "2: keys and values are expected here; write lines like `engine: shell`",
    ),
    "a word at the root": (
        front("engine shell"),
        "2: keys and values are expected here; write lines like `engine: shell`",
    ),
    "a key that is a list": (front("[a, b]: c"), "2: a key must be plain text; write `key: value`"),
    "bad indentation": (
        front("engine: shell\n  lock: a"),
        "3: not YAML: mapping values are not allowed in this context; check quotes, colons and indentation",
    ),
    "an unclosed quote": (
        front("title: 'x"),
        "3: not YAML: found unexpected end of stream; check quotes, colons and indentation",
    ),
    "an unclosed bracket": (
        front("deps: [a"),
        "3: not YAML: did not find expected ',' or ']'; check quotes, colons and indentation",
    ),
    "a tab as indentation": (
        front("budget:\n\tusd: 1"),
        "3: not YAML: found character that cannot start any token; check quotes, colons and indentation",
    ),
    "a character that YAML forbids": (
        front("title: \x80"),
        "2: not YAML: unacceptable character #x0080: control characters are not allowed; check the text",
    ),
    # The keys.
    "an unknown key with a near name": (
        front("engin: shell"),
        "2: unknown key 'engin'; did you mean 'engine'?",
    ),
    "an underscore for a dash": (
        front("not_before: x"),
        "2: unknown key 'not_before'; did you mean 'not-before'?",
    ),
    "an unknown key far from any name": (
        front("wibble: red"),
        "2: unknown key 'wibble'; `aq schema` lists the keys",
    ),
    "a key named content": (front("content: x"), "2: unknown key 'content'; `aq schema` lists the keys"),
    "an internal name": (front("given: [engine]"), "2: unknown key 'given'; `aq schema` lists the keys"),
    "an unknown nested key": (
        front("budget:\n  usd: 1\n  token: 5"),
        "4: unknown key 'budget.token'; did you mean 'tokens'?",
    ),
    "an unknown nested key of retry": (
        front("retry: {maxx: 2}"),
        "2: unknown key 'retry.maxx'; did you mean 'max'?",
    ),
    "an unknown stage in deps": (
        front("deps: {shiped: [a]}"),
        "2: unknown key 'deps.shiped'; did you mean 'shipped'?",
    ),
    "the first wrong line is named": (
        front("lock: a\nbase: ..\nengin: x"),
        "3: base: '..' is not a branch name; write a plain name such as main or release/2",
    ),
    "a misspelt key explains a missing one": (
        front("review-policy: {reviewer: [alice]}"),
        "2: unknown key 'review-policy.reviewer'; did you mean 'reviewers'?",
    ),
    "deps and depends_on": (
        front("deps: a\ndepends_on: b"),
        "2: deps and depends_on mean the same; keep one of them",
    ),
    "depends_on and blocked_by": (
        front("blocked_by: a\ndepends_on: b"),
        "2: depends_on and blocked_by mean the same; keep one of them",
    ),
    "repo and cwd": (
        front("repo: billing\ncwd: /srv/app"),
        "2: repo and cwd exclude each other; keep one of them",
    ),
    "a value as long as a book": (
        front("engine: " + "x" * 5_000),
        "2: engine: '" + "x" * 290 + "…; use letters, digits, dot, dash and underscore",
    ),
}

# One bad value of each key, as `key: value`, with the words after `2: key`.
VALUES: dict[str, str] = {
    "engine: [shell]": f": {SINGLE}",
    "engine: sh ell": ": 'sh ell' is not a name; use letters, digits, dot, dash and underscore",
    'engine: "shell\\n"': ": 'shell\\n' is not a name; use letters, digits, dot, dash and underscore",
    "engine: ''": ": '' is not a name; use letters, digits, dot, dash and underscore",
    "engine-class: {a: b}": f": {SINGLE}",
    "profile: Backend": f": 'Backend' is not a job id; {ID}",
    "profile: ../x": f": '../x' is not a job id; {ID}",
    "repo: a/b": ": 'a/b' is not a name; use letters, digits, dot, dash and underscore",
    "cwd: src/app": ": 'src/app' is not an absolute path; write the whole path, such as /srv/app",
    "base: --upload-pack=x": (
        ": '--upload-pack=x' is not a branch name; write a plain name such as main or release/2"
    ),
    "base: a..b": ": 'a..b' is not a branch name; write a plain name such as main or release/2",
    "base: x.lock": ": 'x.lock' is not a branch name; write a plain name such as main or release/2",
    'base: "main\\n"': ": 'main\\n' is not a branch name; write a plain name such as main or release/2",
    "workspace: shared": ": 'shared' is not known; write one of 'isolated' or 'in-place'",
    "capabilities: [OS:linux]": f".0: 'OS:linux' is not a capability; {CAPABILITY}",
    "capabilities: [node>=]": f".0: 'node>=' is not a capability; {CAPABILITY}",
    "capabilities: [node>=x]": f".0: 'node>=x' is not a capability; {CAPABILITY}",
    "capabilities: [node=>20]": f".0: 'node=>20' is not a capability; {CAPABILITY}",
    "capabilities: ['has: docker']": f".0: 'has: docker' is not a capability; {CAPABILITY}",
    "capabilities: [ok, '']": f".1: '' is not a capability; {CAPABILITY}",
    "capabilities: {os: linux}": f": a list is expected; {TABLE}",
    "capabilities: [{os: linux}]": f".0: {SINGLE}",
    "prefers: [host mac-2]": f".0: 'host mac-2' is not a capability; {CAPABILITY}",
    "priority: urgent": ": 'urgent' is not known; write one of 'critical', 'high', 'medium' or 'low'",
    "priority: 1": ": '1' is not known; write one of 'critical', 'high', 'medium' or 'low'",
    "deps: [Schema]": f".shipped.0: 'Schema' is not a job id; {ID}",
    "deps: {testing: [a b]}": f".testing.0: 'a b' is not a job id; {ID}",
    "deps: [[a]]": f".shipped.0: {SINGLE}",
    "depends_on: [con]": f".shipped.0: 'con' is not a job id; {ID}",
    "not-before: tomorrow": ": 'tomorrow' is not a time; write it as 2026-12-01T09:00Z",
    "not-before: 2026-12-01T09:00": (
        ": '2026-12-01T09:00' names no time zone; end it with Z, or with an offset like +02:00"
    ),
    "not-before: 2026-12-01": (
        ": '2026-12-01' names no time zone; end it with Z, or with an offset like +02:00"
    ),
    "not-before: 0001-01-01T00:00+02:00": (
        ": '0001-01-01T00:00+02:00' is not a time; write it as 2026-12-01T09:00Z"
    ),
    "lock: [a]": f": {SINGLE}",
    "lock: " + "x" * 201: f": {ONE_LINE}",
    "timeout: 5": f": '5' is not a duration; {DURATION}",
    "timeout: 1:30": f": '1:30' is not a duration; {DURATION}",
    "timeout: 2 h": f": '2 h' is not a duration; {DURATION}",
    "timeout: 400d": ": '400d' is longer than 366 days; write a shorter duration",
    "timeout: -5m": f": '-5m' is not a duration; {DURATION}",
    "budget: 5": f": keys and values are expected; {TABLE}",
    "budget: {usd: free}": ".usd: 'free' is not an amount; write a number such as 5 or 0.50",
    "budget: {usd: -1}": ".usd: '-1' is not an amount; write a number such as 5 or 0.50",
    "budget: {usd: 1e9}": ".usd: '1e9' is not an amount; write a number such as 5 or 0.50",
    "budget: {tokens: 2G}": ".tokens: '2G' is not a count; write a whole number, or one like 500k or 2M",
    "budget: {wall: long}": f".wall: 'long' is not a duration; {DURATION}",
    "retry: 3": f": keys and values are expected; {TABLE}",
    "retry: {max: -1}": ".max: '-1' is not a whole number; write 0, 1, 2, …",
    "retry: {backoff: 5}": f".backoff: '5' is not a duration; {DURATION}",
    "retry: {infra: [1]}": f".infra: {SINGLE}",
    "retry: {on: [segfault]}": (
        ".on.0: 'segfault' is not known; write one of 'timeout', 'verify_failed', 'crash', 'agent', "
        "'budget', 'denied', 'context', 'overloaded', 'network' or 'unknown'"
    ),
    "verify: [[a]]": f": a check is a command or one `kind: value`; {CHECK}",
    "verify: [{command: a, file_exists: b}]": f": a check is a command or one `kind: value`; {CHECK}",
    "verify: {tests: a}": f": unknown check 'tests'; {CHECK}",
    "verify: [{command: }]": ": the check 'command' needs a value; write `command: …`",
    "verify: [{command: [a]}]": ": the check 'command' needs a value; write `command: …`",
    "verify: [{file_exists: /etc/passwd}]": (
        ": '/etc/passwd' leaves the workspace; write a path relative to it"
    ),
    "verify: [{file_exists: a/../../b}]": ": 'a/../../b' leaves the workspace; write a path relative to it",
    "verify: [{file_exists: '..\\b'}]": ": '..\\\\b' leaves the workspace; write a path relative to it",
    "fix: 1": f": keys and values are expected; {TABLE}",
    "fix: {max: one}": ".max: 'one' is not a whole number; write 0, 1, 2, …",
    "setup: [a, b]": f": {SINGLE}",
    "baseline: yes": ": 'yes' is neither true nor false; write true or false",
    "resume: no": ": 'no' is neither true nor false; write true or false",
    "sandbox: on": ": 'on' is not known; write one of 'auto', 'required' or 'off'",
    "on-partition: wait": ": 'wait' is not known; write one of 'continue' or 'stop'",
    "product: Billing": f": 'Billing' is not a job id; {ID}",
    "every: daily": f": 'daily' is not a duration; {DURATION}",
    "allowed-scope: [../x]": f".0: '../x' leaves the workspace; {LEAVES}",
    "allowed-scope: [/etc/**]": f".0: '/etc/**' leaves the workspace; {LEAVES}",
    "allowed-scope: [~/x]": f".0: '~/x' leaves the workspace; {LEAVES}",
    "allowed-scope: ['a\\b']": f".0: 'a\\\\b' leaves the workspace; {LEAVES}",
    "review-policy: sometimes": (
        ": 'sometimes' is no review policy; write manual, auto or {reviewers: [...], approvals: 1}"
    ),
    "review-policy: [alice]": f": keys and values are expected; {TABLE}",
    "review-policy: {reviewers: [alice, bob], approvals: 3}": (
        ": 3 approvals cannot come from 2 reviewers; name more of them, or ask for fewer approvals"
    ),
    "review-policy: {reviewers: [alice, alice], approvals: 2}": (
        ": 2 approvals cannot come from 1 reviewer; name more of them, or ask for fewer approvals"
    ),
    "review-policy: {approvals: 1}": f".reviewers: this key is required; {TABLE}",
    "review-policy: {reviewers: [alice], approvals: some}": (
        ".approvals: 'some' is not a whole number; write 0, 1, 2, …"
    ),
    "deliver: push": ": 'push' is not known; write one of 'branch', 'merge' or 'pr'",
    "artifacts: [a/../b]": f".0: 'a/../b' leaves the workspace; {LEAVES}",
    'idempotency-key: "a\\nb"': f": {ONE_LINE}",
    "tracker-item: {a: b}": f": {SINGLE}",
    "model: --help": ": '--help' starts with a dash; a value may not look like an option",
    "yolo: 1": ": '1' is neither true nor false; write true or false",
    "yolo: True": ": 'True' is neither true nor false; write true or false",
    "env: [A=b]": ".0: 'A=b' is not the name of an environment variable; write only the name",
    "env: [2A]": ".0: '2A' is not the name of an environment variable; write only the name",
    "labels: [a b]": ".0: 'a b' is not a name; use letters, digits, dot, dash and underscore",
    'title: "a\\tb"': f": {ONE_LINE}",
}

FILES["every under a minute"] = (front("every: 59s"), "2: every is shorter than a minute; write 1m or longer")
