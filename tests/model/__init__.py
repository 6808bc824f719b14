"""The protocol model: `python -m tests.model`."""
