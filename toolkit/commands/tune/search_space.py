"""The search space of a hyperparameter search: ranges and choices, written as short texts.

1e-5..1e-3:log    any number between, drawn on a logarithmic scale
0..0.3            any number between
1..4              a whole number between, where both ends are whole
16|32|64          one of these
0.1               this value
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.config import Resolved, merge, validate
from toolkit.config.files import parse_assignments
from toolkit.config.settings import TrainingConfig
from toolkit.errors import ConfigError

# Learning rates as factors on the rate that would be used without a search.
SLOWEST, FASTEST = 0.2, 4.0
SPACE = {
    "training.weight_decay": "0.001..0.1:log",
    "training.dropout": "0..0.3",
    "training.warmup_fraction": "0..0.2",
}
SMALLEST_BATCH = 8
_RANGE = re.compile(r"\s*(?P<low>[-+.\deE]+)\.\.(?P<high>[-+.\deE]+?)(?P<log>:log)?\s*")


@dataclass(frozen=True)
class Range:
    """Numbers between two ends, both included."""

    low: float
    high: float
    log: bool
    whole: bool


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]


Space = Mapping[str, Range | Choice]


def parse(key: str, written: Any) -> Range | Choice:
    """Read one line of a search space.

    Raises:
        ConfigError: It is neither a range nor a choice.
    """
    if isinstance(written, list):
        return Choice(tuple(written))
    text = str(written)
    match = _RANGE.fullmatch(text)
    if match is None and ".." not in text:
        values = [parse_assignments([f"value={part.strip()}"])["value"] for part in text.split("|")]
        return Choice(tuple(values))
    try:
        assert match is not None
        low, high = (_number(match[end]) for end in ("low", "high"))
    except (ValueError, AssertionError):
        low, high = 1.0, 0.0
    log = match is not None and match["log"] is not None
    if low >= high or (log and low <= 0):
        raise ConfigError(
            f"`{key}` cannot be searched in {text!r}.",
            "Write LOW..HIGH, LOW..HIGH:log with LOW above 0, or A|B|C; for example 1e-5..1e-3:log.",
            id="config.malformed-value",
        )
    return Range(low, high, log, whole=isinstance(low, int) and isinstance(high, int))


def _number(text: str) -> float:
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)


def build(resolved: Resolved, given: Mapping[str, Any]) -> dict[str, Range | Choice]:
    """Return the space: the default one without values that the user has set, and the user's own ranges.

    Args:
        resolved: The complete configuration; the learning rate is set.
        given: Dotted key → text, such as "training.dropout" → "0..0.3"; a key without a dot is one of training.

    Raises:
        ConfigError: A key is unknown, or a value of its range is invalid.
    """
    automatic = resolved.automatic()
    kept = {
        key: text
        for key, text in _usual(resolved.config.training).items()
        if key in automatic or resolved.layer(key) in ("default", "recipe")
    }
    wanted = {key if "." in key else f"training.{key}": text for key, text in given.items()}
    space = {key: parse(key, text) for key, text in {**kept, **wanted}.items()}
    for key, part in space.items():  # before anything is trained
        for value in (part.low, part.high) if isinstance(part, Range) else part.values:
            validate(merge(resolved.config.model_dump(), nested(key.split("."), value)), {key: "--search"})
    return space


def _usual(training: TrainingConfig) -> dict[str, str]:
    """Return the ranges around the values that a run without a search has."""
    rate, fewest = training.learning_rate or 5e-5, max(1, int(training.epochs / 2))
    batch = max(SMALLEST_BATCH, training.batch_size // 2)
    return {
        "training.learning_rate": f"{SLOWEST * rate:.2g}..{FASTEST * rate:.2g}:log",
        "training.epochs": f"{fewest}..{max(fewest + 1, math.ceil(2 * training.epochs))}",
        "training.batch_size": f"{batch}|{2 * batch}|{4 * batch}",
        **SPACE,
    }


def nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a value below its keys."""
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def suggest(trial: Any, space: Space) -> dict[str, Any]:
    """Let an Optuna trial suggest a value of each key."""
    values: dict[str, Any] = {}
    for key, part in space.items():
        if isinstance(part, Choice):
            values[key] = trial.suggest_categorical(key, list(part.values))
        elif part.whole:
            values[key] = trial.suggest_int(key, int(part.low), int(part.high), log=part.log)
        else:
            values[key] = float(f"{trial.suggest_float(key, part.low, part.high, log=part.log):.4g}")
    return values
