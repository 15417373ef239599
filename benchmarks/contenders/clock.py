"""A clock for training that uses torch's own hooks, so that it is the same for every library.

    first forward in training mode   → starts
    step that is a point of the curve → stops; the model may be evaluated
    next forward in training mode    → continues
    last step                        → stops for good

Imports, loading, tokenization, evaluation and saving between those moments are not counted.
"""

import time
from collections.abc import Callable
from typing import Any


class Clock:
    """Counts optimizer steps and the seconds spent on them.

    Attributes:
        step: Optimizer steps taken.
        seconds: Time spent on them so far.
        marks: (step, seconds) at each point of the curve.
    """

    def __init__(self, steps: int, evaluate_every: int, at_mark: Callable[[Any, int], None] | None = None) -> None:
        """Start; `at_mark(model, step)` is called off the clock at each point of the curve."""
        from torch.nn.modules.module import register_module_forward_pre_hook
        from torch.optim.optimizer import register_optimizer_step_post_hook

        self.steps = steps
        self.evaluate_every = evaluate_every
        self.step = 0
        self.seconds = 0.0
        self.marks: list[tuple[int, float]] = []
        self._at_mark = at_mark
        self._model: Any = None
        self._since: float | None = None
        self._search = register_module_forward_pre_hook(self._find_model)
        self._counter = register_optimizer_step_post_hook(self._after_step)

    def close(self) -> None:
        """Remove the hooks."""
        self._search.remove()
        self._counter.remove()

    def _find_model(self, module: Any, _inputs: Any) -> None:
        """Use the first model that is called in training mode."""
        if module.training and hasattr(module, "config"):
            self._search.remove()
            self._model = module
            module.register_forward_pre_hook(lambda module, _: self._go_on(module))
            self._go_on(module)

    def _go_on(self, module: Any) -> None:
        if self._since is None and module.training and self.step < self.steps:
            self._since = time.perf_counter()

    def _after_step(self, *_: Any) -> None:
        self.step += 1
        if self._since is None or (self.step % self.evaluate_every and self.step != self.steps):
            return
        self.seconds += time.perf_counter() - self._since
        self._since = None
        self.marks.append((self.step, self.seconds))
        if self._at_mark is not None:
            self._at_mark(self._model, self.step)
