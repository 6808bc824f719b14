"""Whether this machine obeys signed commits only. Light to import: every command asks."""

from __future__ import annotations

from aq.host.place import TrustFiles, config_text, trust_files


def signed_mode() -> TrustFiles | None:
    """The files of trust when this machine obeys signed commits only; None when it trusts whoever can
    push. Raises InvalidFileError, or AqError when host.yaml is not where it was said to be."""
    # The schema library takes longer to import than a short command lasts.
    if b"trust" not in (config_text() or b""):
        return None
    from aq.host.config import load_host_config

    config = load_host_config()
    return trust_files(config.signing_key, config.host_key) if config.trust == "signed" else None
