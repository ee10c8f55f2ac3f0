"""The machine, its device and precision, and a random state that leaves the caller's alone.

torch is imported by what needs it, so that the rest works without it.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from model_collapse.errors import OutOfMemory

if TYPE_CHECKING:
    import torch


def machine() -> str:
    """The processor and its cores, as far as the system tells."""
    model = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.is_file():
        lines = cpus.read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"


def total_memory() -> float:
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


def peak_memory(*, workers: bool = False) -> float:
    """Bytes of this process at its largest so far, or with `workers` of one that worked for it and has ended."""
    import resource  # not on every system

    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) if workers else (resource.RUSAGE_SELF,)
    unit = 1 if sys.platform == "darwin" else 1024
    return float(unit * max(resource.getrusage(who).ru_maxrss for who in whose))


def gpus(*asked: str) -> list[str]:
    """A line for each GPU from its own tool, so that torch need not be imported; none where there is none."""
    ask = ["nvidia-smi", f"--query-gpu={','.join(asked)}", "--format=csv,noheader"]
    try:
        return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []


def dtypes() -> dict[str, torch.dtype]:
    """What torch calls the precisions that a setting names."""
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def name() -> str:
    """The device as a record names it: "cpu", or the GPU's name."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def precision(setting: Literal["auto", "fp32", "bf16", "fp16"], device: torch.device) -> torch.dtype:
    """What matrices are multiplied in. auto asks for the compute capability: torch calls bf16 supported on older GPUs
    too, where it is emulated and slow."""
    import torch

    if setting != "auto":
        return dtypes()[setting]
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


def mixed(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """Context in which matrices are multiplied in `dtype`, while weights and sums stay in fp32."""
    import torch

    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """`count` CPU threads inside, the caller's number outside."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """torch's hidden generators set to `seed` inside, as they were outside.

    Initialisation, dropout and multinomial draws inside transformers use no other generators than these.
    """
    import torch

    with undrawn(device):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield


def undrawn(device: torch.device) -> AbstractContextManager[None]:
    """What torch's hidden generators draw inside, they draw again afterwards."""
    import torch

    return torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else [])


_FULL = {
    "DefaultCPUAllocator": "memory",
    "CUBLAS_STATUS_ALLOC_FAILED": "GPU memory",
    "CUDNN_STATUS_ALLOC_FAILED": "GPU memory",
}
"""How torch says that memory is full where it raises a plain RuntimeError -> which memory."""


@contextmanager
def memory(remedy: str) -> Iterator[None]:
    """Turns exhausted memory into OutOfMemory, one line that says what to do."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        full = "GPU memory"
    except RuntimeError as error:
        # What torch raises on a CPU has no class of its own, nor has what libraries take from a GPU beside it.
        full = next((full for sign, full in _FULL.items() if sign in str(error)), "")
        if not full:
            raise
    else:
        return
    # Raised here, after the handler has let go of the tensors that filled the memory: the caller may try again.
    raise OutOfMemory(f"out of {full}: {remedy}")
