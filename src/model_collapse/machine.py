"""What the machine has."""

from __future__ import annotations

import os
from pathlib import Path


def memory() -> float:
    """Bytes of memory that a process may have: the machine's, or less in a container; inf where it cannot be told."""
    try:
        limits = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))]
    except (AttributeError, OSError, ValueError):
        return float("inf")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limits.append(float(Path("/sys/fs/cgroup", name).read_text()))
        except (OSError, ValueError):
            continue  # no such group, or "max"
    return min(limits)
