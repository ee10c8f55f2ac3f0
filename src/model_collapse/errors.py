"""The errors a user can meet. Each is one line that says what to do, and has the exit status of the command."""

from __future__ import annotations

from typing import ClassVar, Literal


class InputError(ValueError):
    """An argument or a file is wrong; the line names it and says what is allowed."""

    status: ClassVar[int] = 2


class ExternalError(RuntimeError):
    """Something outside is missing (hub, GPU, memory, disk); the line says what to do about it."""

    status: ClassVar[int] = 3


class OutOfMemory(ExternalError):
    """The device's memory is full; less at a time may fit.

    use  what took it; None where that is not known
    """

    use: Literal["fit", "sample"] | None = None


def status(error: BaseException) -> int:
    """Exit status of a command that this error ends: 1 for one that no user was meant to meet."""
    return error.status if isinstance(error, InputError | ExternalError) else 1
