"""The command `aq`. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; the exit code."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        from aq import __version__

        sys.stdout.write(f"aq {__version__}\n")
        return 0
    from aq.ui.cli import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
