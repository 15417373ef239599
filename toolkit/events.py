"""What the pipeline tells whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass

from toolkit.training.loop.progress import Progress, Validation


@dataclass(frozen=True)
class Stage:
    """A stage of the work begins."""

    name: str


@dataclass(frozen=True)
class Note:
    """Something that the user should know."""

    text: str


@dataclass(frozen=True)
class Counted:
    """How far a stage without a loss has come."""

    done: int
    total: int


Event = Stage | Note | Counted | Progress | Validation
Observe = Callable[[Event], None]
