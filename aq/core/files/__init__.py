"""The files that people write, read strictly: each error has its line and what to do."""
