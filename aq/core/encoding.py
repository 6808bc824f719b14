"""Values as our own YAML files (records, leases, beats, PAUSED, spend). Reading them is in `codec`."""

from __future__ import annotations

from typing import Any

import yaml

from aq.core.values import plain

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def encode(value: Any) -> bytes:
    """A value as a YAML file."""
    data = plain(value)
    return (
        yaml.dump(data, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=4096, encoding="utf-8")
        if data
        else b""
    )
