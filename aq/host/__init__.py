"""This machine: its facts, its processes, its engines and the folders they run in."""
