"""Errors a person can act on. Each says what happened and what to do; each has an exit code."""

from __future__ import annotations

EXIT_OK = 0
EXIT_NEGATIVE = 1
EXIT_USAGE = 2
EXIT_BUG = 3
EXIT_FROZEN = 4
EXIT_TRY_LATER = 75


class AqError(Exception):
    """An expected failure: `what` happened, and the `hint` that says what to do."""

    exit_code = EXIT_NEGATIVE

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}; {self.hint}" if self.hint else self.what


class UsageError(AqError):
    """The command line asks for something that makes no sense."""

    exit_code = EXIT_USAGE


class FrozenError(AqError):
    """The queue's history was rewound: this host must not act (DESIGN section 5, rule 1)."""

    exit_code = EXIT_FROZEN


class TryLaterError(AqError):
    """The remote did not answer or refused for now; nothing is lost."""

    exit_code = EXIT_TRY_LATER


class DiskFullError(TryLaterError, OSError):
    """No space is left on a disk. Also an OSError: what may fail for any such reason treats it alike."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"no space is left on the disk of {place}",
            "make room there, then repeat; nothing that was accepted is lost",
        )


class InvalidFileError(AqError):
    """A file that people write does not say what it must: `file:line: what; hint`."""

    def __init__(self, what: str, hint: str = "", *, file: str = "", line: int = 0) -> None:
        super().__init__(what, hint)
        self.file = file
        self.line = line

    def located(self, file: str) -> InvalidFileError:
        """The same error, naming `file`."""
        return InvalidFileError(self.what, self.hint, file=file, line=self.line)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file else f"line {self.line}: "
        return place + super().__str__()


class IllegalTransitionError(AqError):
    """A move that the transition table does not hold. A bug when our own code builds it."""
