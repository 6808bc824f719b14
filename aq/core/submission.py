"""What a job file must be like to be submitted: valid, and without anything that looks like a secret."""

from __future__ import annotations

from aq.core.errors import InvalidFileError
from aq.core.files.jobfile import parse_job
from aq.core.manifest import Manifest
from aq.core.secrecy.secrets import find_secret


def checked(content: bytes, file: str, *, allow_secret: bool = False) -> Manifest:
    """The manifest of a file that may be submitted. Raises InvalidFileError."""
    manifest, _ = parse_job(content, file)
    secret = None if allow_secret else find_secret(content.decode())
    if secret:
        raise InvalidFileError(
            f"this looks like a secret ({secret.kind})",
            "remove it and revoke it, or give --allow-secret to `aq add`",
            file=file,
            line=secret.line,
        )
    return manifest
