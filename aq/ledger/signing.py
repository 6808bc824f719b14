"""Signing and checking with ssh-keygen: no agent is needed, and no gpg."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from aq.core.errors import AqError
from aq.core.sshsig import key_of, plain_key

_NAMESPACE = "git"
_SECONDS = 60.0
_WORKERS = 4


@lru_cache(maxsize=1)
def _binary() -> str:
    found = shutil.which("ssh-keygen")
    if not found:
        raise AqError("ssh-keygen was not found", "install OpenSSH 8.2 or newer, or write `trust: open`")
    return os.path.abspath(found)


def _run(args: Sequence[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    # Of its own session and without an askpass: a key with a passphrase must fail, not wait for a person.
    env = {**os.environ, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
    try:
        return subprocess.run(
            [_binary(), *args],
            input=data,
            capture_output=True,
            env=env,
            timeout=_SECONDS,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(args, -1, b"", b"no answer in time")


def make_key(path: Path) -> None:
    """A new key without a passphrase, for this user only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    done = _run(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)])
    if done.returncode:
        raise AqError(f"no key can be made at {path}: {_words(done)}", "check the folder, then repeat")


def public_key(path: Path) -> str:
    """The public key of a key file, or of the public half alone, whose other half is in the agent."""
    beside = path if path.suffix == ".pub" else path.with_name(f"{path.name}.pub")
    try:
        text = beside.read_text("utf-8") if beside.exists() else _derived(path)
    except (OSError, UnicodeDecodeError) as error:
        raise AqError(f"the key {path} cannot be read: {error}", "`aq trust init` makes one") from None
    key = plain_key(text)
    if not key:
        raise AqError(f"{beside} is not a public key that can sign", "`aq trust init` makes one")
    return key


def _derived(path: Path) -> str:
    done = _run(["-y", "-f", str(path)])
    if done.returncode:
        raise AqError(f"the key {path} cannot be read: {_words(done)}", "`aq trust init` makes one")
    return done.stdout.decode("utf-8", "replace")


def sign(key: Path, payload: bytes) -> bytes:
    """The armored signature of a commit's bytes. Raises AqError."""
    done = _run(["-Y", "sign", "-q", "-n", _NAMESPACE, "-f", str(key)], payload)
    if done.returncode or not key_of(done.stdout):
        raise AqError(
            f"nothing can be signed with {key}: {_words(done)}",
            "the key must have no passphrase, or be in the agent and named by its .pub file",
        )
    return done.stdout


def is_good(payload: bytes, armor: bytes) -> bool:
    """Whether the signature is of this payload, by the key inside it and for git."""
    key = key_of(armor)
    if not key:
        return False
    with tempfile.TemporaryDirectory(prefix="aq-sig-") as folder:
        signature, allowed = Path(folder) / "sig", Path(folder) / "allowed"
        signature.write_bytes(armor)
        allowed.write_text(f"aq {key}\n", "utf-8")
        args = ["-Y", "verify", "-q", "-n", _NAMESPACE, "-I", "aq", "-f", str(allowed), "-s", str(signature)]
        return _run(args, payload).returncode == 0


def good_keys(signed: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """Of each payload and signature, the key that made it; nothing for one that is not good. Some processes
    at once."""
    wanted = [pair for pair in signed if pair[1]]
    if len(wanted) < 2:
        verdicts = [is_good(*pair) for pair in wanted]
    else:
        with ThreadPoolExecutor(min(_WORKERS, len(wanted), os.cpu_count() or 1)) as pool:
            verdicts = list(pool.map(lambda pair: is_good(*pair), wanted))
    good = iter(verdicts)
    return [key_of(armor) if armor and next(good) else "" for _, armor in signed]


def _words(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
