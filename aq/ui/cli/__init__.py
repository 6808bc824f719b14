"""The command line: a lazy table of commands, and the one place where errors become exit codes."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from aq import __version__
from aq.core.errors import EXIT_BUG, EXIT_OK, AqError, DiskFullError
from aq.ui.cli.table import COMMANDS
from aq.ui.out import say, tell, tell_error

INTERRUPTED = 130
_COMPLETING = "_AQ_COMPLETE"


class _Lazy(TyperGroup):
    """Imports a command's module when it is called, not before."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"aq.ui.cli.{COMMANDS[cmd_name].module}")
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        single.command(name=cmd_name, help=COMMANDS[cmd_name].help)(
            getattr(module, COMMANDS[cmd_name].function)
        )
        command = typer.main.get_command(single)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, COMMANDS, n=1)
            ctx.fail(
                f"there is no command {name!r}."
                + (f" Did you mean {near[0]!r}?" if near else " `aq --help` lists them.")
            )
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Lazy,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A git-native runner for coding agents: drop Markdown jobs into queue/inbox, `aq run` on each "
    "machine, ship what is good.",
)


def _show_version(value: bool) -> None:
    if value:
        say(f"aq {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    directory: Path = typer.Option(None, "-C", metavar="DIR", help="Act as if started in DIR."),
    version: bool = typer.Option(
        False, "--version", "-V", callback=_show_version, is_eager=True, help="Print the version."
    ),
) -> None:
    del version
    if directory is not None:
        try:
            os.chdir(directory)
        except OSError as error:
            raise AqError(f"{directory}: {error.strerror}", "give a folder that exists with -C") from None


def command_line(arguments: list[str]) -> int:
    """Run one command line; the exit code. Expected errors are one message, a bug leaves a report."""
    if _COMPLETING in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    try:
        result = typer.main.get_command(app)(args=arguments, prog_name="aq", standalone_mode=False)
        if result == INTERRUPTED and arguments[:1] != ["run"]:
            # Typer makes an exit code of Ctrl-C.
            tell("interrupted")
        return result if isinstance(result, int) else EXIT_OK
    except AqError as error:
        return tell_error(error)
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        tell("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe went away; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return tell_error(DiskFullError(str(error.filename or Path.cwd())))
        return _usage_or_bug(error, arguments)
    except Exception as error:
        return _usage_or_bug(error, arguments)


def _usage_or_bug(error: Exception, arguments: list[str]) -> int:
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if show is not None and isinstance(code, int):
        show()
        return code
    return _report_bug(error, arguments)


def _report_bug(error: Exception, arguments: list[str]) -> int:
    import platform
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    facts = f"aq {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    facts += f"command: {next((word for word in arguments if word in COMMANDS), 'none')}\n\n"
    tell(f"this is a bug in aq: {type(error).__name__}: {error}", "aq:")
    try:
        handle, name = tempfile.mkstemp(prefix=f"aq-bug-{int(time.time())}-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(facts + text)
        tell(f"    the report is in {name}; please send it")
    except OSError as unwritten:
        tell(f"    no report can be written ({unwritten}):\n{facts}{text}")
    tell("    the queue is not harmed: repeat the command or restart `aq run`")
    return EXIT_BUG
