"""Waiting for an event, however slow or busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST = 1800.0
"""Seconds after which a test fails that waits for what never comes, so that a hang is a failure with a name."""


def until(happened: Callable[[], object], going: Callable[[], object] = lambda: True) -> bool:
    """Wait until `happened()`; False if `going()` is over before that (a process has ended, say)."""
    limit = time.monotonic() + LONGEST
    while not happened():
        if not going():
            return bool(happened())
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.005)
    return True
