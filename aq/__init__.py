"""aq: a git-native runner for coding agents. Only the version lives here."""

__version__ = "0.1.0"
