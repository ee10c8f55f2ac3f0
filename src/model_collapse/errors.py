"""The types of errors a user can meet; their messages stand where they are raised.

Each message is one line that says what to do, and each type has the exit status of the command.
"""

from __future__ import annotations

from typing import ClassVar, Literal


class InputError(ValueError):
    """An argument or a file is wrong; the line names it and says what is allowed."""

    status: ClassVar[int] = 2


class ExternalError(RuntimeError):
    """Something outside is missing (hub, GPU, memory, disk); the message says what to do about it."""

    status: ClassVar[int] = 3


class OutOfMemory(ExternalError):
    """The device's memory is full; less at a time may fit.

    use  the operation that needed it; None where that is not known
    """

    use: Literal["fit", "sample"] | None = None


def status(error: BaseException) -> int:
    """Exit status of a command that this error ends: 1 for an error that no user was meant to meet."""
    return error.status if isinstance(error, InputError | ExternalError) else 1
