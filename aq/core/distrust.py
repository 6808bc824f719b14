"""What a host does not trust in the queue at one commit, as the rest of aq sees it."""

from __future__ import annotations

from collections.abc import Mapping

from aq.core.value import Value, field


class Distrust(Value):
    """Why each job is out of play, and each other file is not obeyed; `instead` names the blob that is read
    in a file's place, empty for none."""

    jobs: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)


NOTHING = Distrust()
