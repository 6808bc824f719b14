"""A file that a person drops: whether it is meant as a job, what is read of it, and how the job is called."""

from __future__ import annotations

import base64
import secrets
import stat
from pathlib import Path

from aq.core.errors import InvalidFileError
from aq.core.ids import is_id, keyed_id, slug, suffixed
from aq.core.layout import JOB_SUFFIX, is_no_attempt
from aq.core.manifest import Manifest

_MAX_READ = 2 * 1024 * 1024


def may_be_job(name: str) -> bool:
    """Whether a file of this name is meant as a job."""
    return name.lower().endswith(JOB_SUFFIX) and not is_no_attempt(name)


def new_op_id() -> str:
    """A random operation id."""
    return secrets.token_hex(8)


def content_suffix(blob: str) -> str:
    """Four base32 characters that a blob id gives."""
    return base64.b32encode(bytes.fromhex(blob)).decode().lower()[:4]


def random_suffix() -> str:
    """Four random base32 characters, for a job id."""
    return base64.b32encode(secrets.token_bytes(3)).decode().lower()[:4]


def read_plain_file(path: Path) -> bytes:
    """A dropped file's content. Raises InvalidFileError for anything but a plain file of bounded size."""
    info = path.lstat()
    if stat.S_ISLNK(info.st_mode):
        raise InvalidFileError("a symbolic link", "put the file itself here", file=path.name, line=1)
    if not stat.S_ISREG(info.st_mode):
        raise InvalidFileError("not a plain file", "put a Markdown file here", file=path.name, line=1)
    if info.st_size > _MAX_READ:
        raise InvalidFileError(
            f"the file has {info.st_size} bytes", "the limit is 1048576", file=path.name, line=1
        )
    return path.read_bytes()


def job_id_for(stem: str, manifest: Manifest, *, fresh: bool) -> str:
    """The id of a new job: from its idempotency key alone, so that it is the same whatever the file's
    name is, or from its name (with a random end if `fresh`)."""
    if manifest.idempotency_key:
        return keyed_id(manifest.idempotency_key, manifest.idempotency_key)
    if fresh or not is_id(stem):
        return suffixed(stem, random_suffix()) if fresh else slug(stem)
    return stem
