"""Experiment trackers, through Accelerate: TensorBoard, trackio, Weights & Biases.

A tracker that fails, without a network or a login, is then left out; it never ends a run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from toolkit.errors import ConfigError

PROJECT = "finetune-toolkit"
Log = Callable[[Mapping[str, Any], int], None]


def check(names: Sequence[str]) -> None:
    """Raise ConfigError, before anything is trained, if a tracker's package is not installed."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"`training.trackers` names {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not installed.",
            f"pip install {' '.join(missing)}",
            id="machine.package-missing",
        )


@contextmanager
def tracking(
    accelerator: Any, names: Sequence[str], values: Mapping[str, Any], say: Callable[[str], None]
) -> Iterator[Log]:
    """Start the trackers, yield a function that logs (figures, step) to them, and end them.

    Args:
        accelerator: Made with `log_with`.
        names: Of the trackers; with none nothing happens.
        values: Dotted key → value: the run's configuration.
        say: Called once when a tracker fails.
    """
    failed = not names

    def attempt(action: Callable[[], None]) -> None:
        nonlocal failed
        if failed:
            return
        try:
            action()
        except Exception as error:
            failed = True
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            say(f"Tracking with {', '.join(names)} failed ({reason}); the run continues without it.")

    attempt(lambda: accelerator.init_trackers(PROJECT, config=_plain(values)))
    try:
        yield lambda figures, step: attempt(lambda: accelerator.log(dict(figures), step=step))
    finally:
        attempt(lambda: _finish(accelerator))


def _finish(accelerator: Any) -> None:
    """End only the trackers; `end_training` would also end the communication of the processes."""
    for tracker in accelerator.trackers:
        tracker.finish()


def figures(line: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a line of metrics.jsonl under the name of its event: "training/loss"."""
    return {
        f"{line['event']}/{name}": value
        for name, value in line.items()
        if name not in ("event", "step") and isinstance(value, int | float) and not isinstance(value, bool)
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values that every tracker accepts: numbers, truth values and texts."""
    return {key: value if isinstance(value, bool | int | float | str) else str(value) for key, value in values.items()}
