"""The errors a user can meet. Each is one line that says what to do."""


class InputError(ValueError):
    """An argument or a file is wrong; the line names it and says what is allowed. Exit status 2."""


class OutsideError(RuntimeError):
    """Something outside is missing (hub, GPU, memory, disk); the line says what to do about it. Exit status 3."""


class OutOfMemory(OutsideError):
    """The device's memory is full; less at a time may fit."""
