"""`aq schema`."""

from __future__ import annotations

import json

import typer

from aq.ui.out import say


def schema(
    settings: bool = typer.Option(False, "--settings", help="The schema of queue/aq.yaml instead."),
) -> None:
    """Print JSON Schema."""
    from aq.core.files.jobfile import JobFile
    from aq.core.files.settingsfile import SettingsFile

    model = SettingsFile if settings else JobFile
    say(
        json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}, indent=2
        )
    )
