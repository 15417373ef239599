"""The processes that work on one run, and their communication.

A run in one process is a team of one: everything below then returns its argument at once.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from toolkit.distributed import launcher
from toolkit.errors import ProcessLost

T = TypeVar("T")

_PATIENCE = timedelta(days=1)  # others wait while one downloads or writes; a process that died is detected at once


@dataclass(frozen=True)
class Team:
    """This process among those of its run.

    Attributes:
        rank: Counted from 0; the process with rank 0 prints and writes.
        size: How many processes there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Return the sum of each number over the processes, the same in all of them."""
        if self.size == 1:
            return [float(number) for number in numbers]
        import torch

        sums = torch.tensor(list(numbers), dtype=torch.float64)
        self.add_up(sums)
        return [float(number) for number in sums]

    def add_up(self, tensor: Any) -> None:
        """Replace each process's tensor by the sum over the processes."""
        if self.size > 1:
            import torch

            with listening():
                torch.distributed.all_reduce(tensor)

    def spread(self, tensor: Any) -> None:
        """Replace each process's tensor by the main one's."""
        if self.size > 1:
            import torch

            with listening():
                torch.distributed.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Wait until all processes reach this point."""
        self.total([0])

    def everyones(self, value: T) -> list[T]:
        """Return each process's value, by rank, in all of them."""
        if self.size == 1:
            return [value]
        import torch

        values: list[Any] = [None] * self.size
        with listening():
            torch.distributed.all_gather_object(values, value)
        return values

    def from_main(self, make: Callable[[], T]) -> T:
        """Let the main process make a value, and return it in all of them."""
        if self.size == 1:
            return make()
        import torch

        value: list[Any] = [make() if self.is_main else None]
        with listening():
            torch.distributed.broadcast_object_list(value, src=0)
        made: T = value[0]
        return made

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the main process do what is in the block before the others, so that these find it in the cache.

        All continue together.
        """
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()
        self.wait()

    def first_to_fail(self) -> bool:
        """Whether this process was the first to fail; the others fail as a consequence and report nothing."""
        if self.size == 1:
            return True
        import torch

        with suppress(RuntimeError, AttributeError):  # the process that counts has ended, so it was the first
            store = torch.distributed.distributed_c10d._get_default_store()
            return int(store.add("toolkit/failed", 1)) == 1
        return False


ALONE = Team()


@contextmanager
def listening(*, computing: bool = False) -> Iterator[None]:
    """Convert a lost connection to another process into an error of the toolkit.

    Args:
        computing: Whether the block does more than communicate, so that other errors are left alone.

    Raises:
        ProcessLost: Another process cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        if computing and not _is_of_communication(error):
            raise
        raise ProcessLost(
            "Another process of the run ended, or cannot be reached.",
            "See its own message, or the launcher's. Resume with the same command and --resume.",
            id="process.lost",
        ) from error


def _is_of_communication(error: RuntimeError) -> bool:
    """Whether NCCL or gloo raised an error; that of gloo has no type of its own, but names its source file."""
    import torch

    return isinstance(error, torch.distributed.DistError) or "/gloo/" in str(error)


@contextmanager
def joined(device: str) -> Iterator[Team]:
    """Join the other processes of the run, if a launcher started several.

    Args:
        device: `training.device`; decides between NCCL and gloo for what is computed on.
    """
    place = launcher.notice(os.environ)
    if place is None or place.size == 1:
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):  # one process needs no communication, whatever started it
            os.environ.pop(name, None)
        yield ALONE
        return
    launcher.die_with_launcher(os.environ)
    os.environ.update(launcher.rendezvous(place, os.environ))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    on_gpu = device in ("auto", "cuda") and torch.cuda.is_available()
    if on_gpu:
        _take_gpu(place.local_rank)
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    team = Team(place.rank, place.size)
    yield team
    torch.distributed.destroy_process_group()


def _take_gpu(local_rank: int) -> None:
    """Make the GPU of this process the current one."""
    import torch
    from accelerate.utils import check_cuda_p2p_ib_support

    index = local_rank % torch.cuda.device_count()  # SLURM may show each process only its own GPU
    os.environ["LOCAL_RANK"] = str(index)
    torch.cuda.set_device(index)
    if not check_cuda_p2p_ib_support():  # devices that NCCL must be given
        os.environ.setdefault("NCCL_P2P_DISABLE", "1")
        os.environ.setdefault("NCCL_IB_DISABLE", "1")
