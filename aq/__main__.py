"""The command `aq`. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import gc
import sys

_INTERRUPTED = 130
_GC_EVERY = 50_000


def main() -> int:
    """Run the command line; the exit code."""
    try:
        return _main(sys.argv[1:])
    except KeyboardInterrupt:
        # While the command's own modules were still being imported.
        if sys.stderr:
            sys.stderr.write("interrupted\n")
        return _INTERRUPTED
    finally:
        # All of it goes with the process: to look for garbage once more takes a twelfth of a short
        # command's time.
        gc.freeze()


def _main(arguments: list[str]) -> int:
    if arguments in (["--version"], ["-V"]):
        from aq import __version__

        if sys.stdout:
            sys.stdout.write(f"aq {__version__}\n")
        return 0
    # Importing makes a great many objects and no garbage: looking for some would take a tenth of a
    # short command's time.
    gc.set_threshold(_GC_EVERY, 20, 20)
    if arguments[:1] == ["add"] and "--help" not in arguments:
        from aq.ui.checker import begin

        begin()
    from aq.ui.cli import command_line

    return command_line(arguments)


if __name__ == "__main__":
    sys.exit(main())
