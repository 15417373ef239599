"""Events that commands send to their observers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    """Progress of a stage without a loss."""

    done: int
    total: int


@dataclass(frozen=True)
class Settled:
    """Model and data of a run are settled, and nothing is trained yet.

    Attributes:
        model: Where the weights come from.
        data: Where the rows come from.
        parts: Name of a part → its rows.
        labels: Names of the classes.
    """

    model: str
    data: str
    parts: Mapping[str, int]
    labels: Sequence[str]


@dataclass(frozen=True)
class Begun:
    """Work that is stored in a folder begins, or is resumed there.

    Attributes:
        name: What it is.
        folder: Where it is stored.
    """

    name: str
    folder: Path


@dataclass(frozen=True)
class Finished:
    """A run is complete; what may follow, such as a push, is not.

    Attributes:
        path: Its directory.
    """

    path: Path


Event = Stage | Note | Counted | Progress | Validation | Settled | Begun | Finished
Observe = Callable[[Event], None]
