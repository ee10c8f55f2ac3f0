"""One chain over several processes that `torchrun` or `accelerate launch` starts: the first leads, the others follow.

The leader runs the chain as a process that is alone does; it alone reads, measures, keeps and tells. What takes time,
training and writing, it has done `everywhere`: the others make the same call with the same arguments, and inside it
each works on its `part` of the rows. Gradients are averaged over processes, so that weights are the same in all; where
the launcher asks for FSDP, each process keeps a part of every weight, of its gradient and of AdamW's state.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from model_collapse.errors import ExternalError, InputError, OutOfMemory

if TYPE_CHECKING:
    import torch
    from torch import nn

    from model_collapse.interfaces import Family

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = timedelta(days=7)
"""How long a process waits for the others: the leader may measure for hours."""


def count() -> int:
    """How many processes the launcher started; 1 without one."""
    launched = all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"))
    return int(os.environ["WORLD_SIZE"]) if launched else 1


def leads() -> bool:
    """Whether this process is alone, or the first of several."""
    return count() == 1 or int(os.environ["RANK"]) == 0


def sharded() -> bool:
    """Whether the launcher asks for weights in parts, as `accelerate launch --use_fsdp` does."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def check(family: Family, jobs: int | None) -> None:
    """InputError, before any work, for what several processes cannot do."""
    processes = count()
    if processes == 1:
        return
    if not family.divided:
        # Here, because every command imports this module, and most need no NumPy.
        from model_collapse.interfaces import name_of

        raise InputError(f"torchrun: family {name_of(family)} works in one process; start it without")
    batch = family.workload.batch if family.workload else 1
    if processes > batch:
        raise InputError(f"torchrun: {processes} processes are more than the {batch} rows of a step (family.batch)")
    if jobs not in (None, 1):
        raise InputError(f"--jobs {jobs}: torchrun's processes work on one chain at a time; leave --jobs out")
    if sharded() and os.environ.get("FSDP_VERSION") != "2":
        raise InputError("accelerate launch: of FSDP only version 2 is known here; add --fsdp_version 2")
    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", processes)), _gpus()
    if 0 < gpus < here:
        raise InputError(f"torchrun: {here} processes on a host with {gpus} GPUs; start one for each GPU")


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


class Alone:
    """A process that works on all rows: what is asked for inside a call that is not made everywhere."""

    count, rank = 1, 0

    def part(self, rows: int) -> slice:
        """The rows that this process works on; shares are contiguous and differ by one row at most."""
        return slice(rows * self.rank // self.count, rows * (self.rank + 1) // self.count)

    def total(self, x: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        return x

    def prepared(self, module: nn.Module, layers: Iterable[nn.Module]) -> nn.Module:
        """The module as it is to be called in training; a backward pass then averages gradients over processes.

        layers  parts of it whose weights are needed one after the other
        """
        return module

    def own(self, weight: torch.Tensor) -> torch.Tensor:
        """What this process keeps of a weight."""
        return weight

    def whole(self, weight: torch.Tensor) -> torch.Tensor:
        """All of a weight, which all processes ask for at a time."""
        return weight

    def apart(self, module: nn.Module) -> AbstractContextManager[None]:
        """Inside, gradients are added up in each process for itself, until a backward pass outside averages them."""
        return nullcontext()

    def each(self, rows: int, work: Callable[[slice], torch.Tensor]) -> torch.Tensor:
        """work(part), of whose first dimension each entry belongs to a row, put together for all rows."""
        return work(slice(0, rows))


class Team(Alone):
    """One of several processes that work together.

    orders  a group of processes on the CPU, whatever computes: those that wait in it take no time
    """

    def __init__(self) -> None:
        import torch
        from accelerate import Accelerator
        from accelerate.utils import DistributedType, InitProcessGroupKwargs
        from torch import distributed

        patience = InitProcessGroupKwargs(timeout=PATIENCE)
        # Precision is a setting of the family, whatever the launcher was configured with.
        self.accelerator = Accelerator(
            cpu=not torch.cuda.is_available(), mixed_precision="no", kwargs_handlers=[patience]
        )
        known = (DistributedType.MULTI_CPU, DistributedType.MULTI_GPU, DistributedType.FSDP)
        if self.accelerator.distributed_type not in known:
            raise InputError(
                f"accelerate launch: it is configured for {self.accelerator.distributed_type}; use --multi_gpu"
            )
        self.distributed, self.orders = distributed, distributed.new_group(backend="gloo", timeout=PATIENCE)
        self.count, self.rank = distributed.get_world_size(), distributed.get_rank()
        self.working = self.broken = self.holding = False

    def lead(self, work: Callable[..., T], args: tuple[Any, ...], more: dict[str, Any]) -> T:
        """Have the others make this call, and make it."""
        self._order((work, args, more))
        try:
            return self._do(work, args, more)
        except InputError:
            raise  # found by all
        except OutOfMemory as error:
            self.broken = True
            # Others wait for what this process will not send: it cannot simply try again with less.
            raise ExternalError(f"process {self.rank} is {error}") from None
        except BaseException:
            self.broken = True
            raise

    def follow(self) -> None:
        """Make the calls that the leader makes everywhere, until it has no more."""
        while (order := self._order()) is not None:
            # What is wrong with a call the leader says.
            with suppress(InputError):
                self._do(*order)

    def dismiss(self) -> None:
        """No more calls. After a failure that others do not know of, the launcher ends them."""
        if not self.broken:
            self._order(None)
            self.distributed.destroy_process_group()

    def _order(self, order: Any = None) -> Any:
        said = [order]
        self.distributed.broadcast_object_list(said, src=0, group=self.orders)
        return said[0]

    def _do(self, work: Callable[..., T], args: tuple[Any, ...], more: dict[str, Any]) -> T:
        self.working = True
        try:
            return work(*args, **more)
        finally:
            self.working = False
            if self.holding:
                # It keeps every module that it prepared.
                self.accelerator.free_memory()
                self.holding = False

    def total(self, x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        self.distributed.all_reduce(x, group=self.orders if x.device.type == "cpu" else None)
        return x

    def prepared(self, module: nn.Module, layers: Iterable[nn.Module]) -> nn.Module:
        wrapped: nn.Module = self.accelerator.prepare_model(module)
        self.holding = True
        return wrapped

    def apart(self, module: nn.Module) -> AbstractContextManager[None]:
        return self.accelerator.no_sync(module)

    def each(self, rows: int, work: Callable[[slice], torch.Tensor]) -> torch.Tensor:
        mine = self.part(rows)
        # All do equally many, some of them a row that is another's: where weights are in parts, every call of a module
        # is one that all processes make.
        most = -(-rows // self.count)
        first = min(mine.start, rows - most)
        found = work(slice(first, first + most))
        whole = found.new_zeros((rows, *found.shape[1:]))
        whole[mine] = found[mine.start - first : mine.stop - first]
        return self.total(whole)


class ShardedTeam(Team):
    """A team of which each process keeps a part of every weight (FSDP2); a layer is whole while it computes.

    By torch itself: Accelerate shards on GPUs only.
    """

    def prepared(self, module: nn.Module, layers: Iterable[nn.Module]) -> nn.Module:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        # Layers of transformers change in place nothing that another returned; test_distributed.py holds them to it.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
        mesh = init_device_mesh(self.accelerator.device.type, (self.count,))
        for part in (*layers, module):
            # In parts again after each use, the outermost too: what validation leaves is what a step begins with.
            fully_shard(part, mesh=mesh, reshard_after_forward=True)
        return module

    def apart(self, module: nn.Module) -> AbstractContextManager[None]:
        # Gradients that are added up in each process would be whole ones.
        return nullcontext()

    def own(self, weight: torch.Tensor) -> torch.Tensor:
        from torch.distributed.tensor import DTensor

        return weight.to_local() if isinstance(weight, DTensor) else weight

    def whole(self, weight: torch.Tensor) -> torch.Tensor:
        from torch.distributed.tensor import DTensor

        return weight.full_tensor() if isinstance(weight, DTensor) else weight


_team: Team | None = None
_alone = Alone()


def here() -> Alone:
    """This process among those that make the current call."""
    return _team if _team and _team.working else _alone


def together() -> bool:
    """Whether a call made `everywhere` would be made by others too."""
    return _team is not None and not _team.working


def everywhere(work: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
    """work(*args, **more), which all processes call at a time; the result of this one. All of it can be pickled."""
    return _team.lead(work, args, more) if _team and not _team.working else work(*args, **more)


def _started() -> Team:
    return ShardedTeam() if sharded() else Team()


@contextmanager
def leading() -> Iterator[None]:
    """Inside, the other processes do what this one has done everywhere."""
    global _team
    if count() == 1:
        yield
        return
    _team = _started()
    try:
        yield
    finally:
        _team.dismiss()
        _team = None


def follow() -> None:
    """Do what the leader has done everywhere, until it has no more."""
    global _team
    _team = _started()
    _team.follow()
    _team.distributed.destroy_process_group()
    _team = None
