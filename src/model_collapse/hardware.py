"""The device, its precision, and a random state that leaves the caller's alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from model_collapse.errors import OutOfMemory

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def name() -> str:
    """What a record calls the device: "cpu", or the GPU's name."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def precision(setting: Literal["auto", "fp32", "bf16", "fp16"], device: torch.device) -> torch.dtype:
    """What matrices are multiplied in. auto asks for the compute capability: torch calls bf16 supported on older GPUs
    too, where it is emulated and slow."""
    if setting != "auto":
        return PRECISIONS[setting]
    if device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


def mixed(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """Context in which matrices are multiplied in `dtype`, while weights and sums stay in fp32."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """`count` CPU threads inside, the caller's number outside."""
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
    gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if gpu else []):
        torch.default_generator.manual_seed(seed)
        if gpu:
            torch.cuda.manual_seed(seed)
        yield


@contextmanager
def memory(remedy: str) -> Iterator[None]:
    """Turns exhausted memory into OutOfMemory, one line that says what to do."""
    try:
        yield
    except torch.OutOfMemoryError:
        full = "GPU memory"
    except RuntimeError as error:
        # What torch raises on a CPU has no class of its own.
        if "DefaultCPUAllocator" not in str(error):
            raise
        full = "memory"
    else:
        return
    # Raised here, after the handler has let go of the tensors that filled the memory: the caller may try again.
    raise OutOfMemory(f"out of {full}: {remedy}")
