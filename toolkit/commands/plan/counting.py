"""Count what a computation needs: floating-point operations, bytes moved, operations, and bytes of tensors alive.

Nothing is timed, so the counts of a CPU hold for every device that runs the same operations.
"""

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Work:
    """What a computation needs.

    Attributes:
        flops: Floating-point operations of matrix products, convolutions and attention.
        moved: Bytes that operations read and write, each operation for itself.
        operations: Number of operations that compute something; views are not counted.
        peak: Bytes of new tensors that are alive at the same time at most.
    """

    flops: float
    moved: float
    operations: int
    peak: float


def count(compute: Callable[[], Any]) -> Work:
    """Call a function once and count what it does; operations of its backward pass included.

    Args:
        compute: Computes with tensors.
    """
    from torch.utils.flop_counter import FlopCounterMode

    ledger = _ledger()
    with FlopCounterMode(display=False) as flops, ledger:
        compute()
    return Work(float(flops.get_total_flops()), float(ledger.moved), ledger.operations, float(ledger.peak))


def _ledger() -> Any:
    """Return the mode that sees every operation; torch is imported only here."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
        """Keeps account of the storages that operations make, until they are freed."""

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.moved = self.operations = self.alive = self.peak = 0
            self.known: set[int] = set()

        def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = operation(*args, **(kwargs or {}))
            given, made = _tensors(tree_leaves((args, kwargs))), _tensors(tree_leaves(result))
            old = {tensor.untyped_storage()._cdata for tensor in given}
            new = [tensor for tensor in made if tensor.untyped_storage()._cdata not in old]
            if new or operation._schema.is_mutable:
                self.operations += 1
                self.moved += sum(tensor.numel() * tensor.element_size() for tensor in (*given, *made))
            for tensor in new:
                self._add(tensor.untyped_storage())
            return result

        def _add(self, storage: Any) -> None:
            if storage._cdata in self.known:
                return
            self.known.add(storage._cdata)
            self.alive += storage.nbytes()
            self.peak = max(self.peak, self.alive)
            weakref.finalize(storage, self._remove, storage._cdata, storage.nbytes())

        def _remove(self, storage: int, size: int) -> None:
            self.known.discard(storage)
            self.alive -= size

    return Ledger()


def _tensors(values: Iterable[Any]) -> list[Any]:
    import torch

    return [value for value in values if isinstance(value, torch.Tensor)]
