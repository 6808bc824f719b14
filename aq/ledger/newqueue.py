"""The files that a new queue begins with. Who writes them, and where, is not decided here."""

from __future__ import annotations

from importlib import resources

from aq.core.layout import PROFILES
from aq.core.lifecycle import Stage

ATTRIBUTES = "queue/** -text\n"
_README = "Drop a Markdown file into `inbox/`. `aq status` shows the board.\n"


def queue_files(cadence: str, beats: str = "refs") -> dict[str, str]:
    """The files of a new, empty queue."""
    files = {f"queue/{stage}/.gitkeep": "" for stage in Stage}
    files["queue/README.md"] = _README
    files["queue/aq.yaml"] = f"# Fleet settings; every key is optional. See the README.\ncadence: {cadence}\n"
    if beats != "refs":
        # Written down for every machine that joins: hosts see only the beats of one place.
        files["queue/aq.yaml"] += f"beats: {beats}\n"
    files["profiles/.gitkeep"] = ""
    return files | starter_profiles()


def starter_profiles() -> dict[str, str]:
    """The profiles that a new queue begins with, by path."""
    folder = resources.files("aq.ledger") / "starter"
    found = sorted(folder.iterdir(), key=lambda each: each.name)
    return {f"{PROFILES}/{each.name}": each.read_text("utf-8") for each in found if each.name.endswith(".md")}
