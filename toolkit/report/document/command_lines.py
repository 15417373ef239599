"""Command lines that advice gives: the command of a run with other options, or of another verb on the same data."""

import shlex
from collections.abc import Sequence

from toolkit.config.option_names import KEYS

# options of `finetune` that the range test of a learning rate does not take: with a value, and without
_NOT_OF_RANGE_TEST = (
    *("--epochs", "--learning-rate", "--budget", "--seeds", "--num-processes", "--max-restarts", "--strategy"),
    *("--glossary", "--push-to", "--unlabelled"),
)
_NO_FLAGS_OF_RANGE_TEST = ("--few", "--tune-speed", "--dry-run")
_NO_KEYS_OF_RANGE_TEST = ("training.budget", "training.few_labels", "data.unlabelled")
_AS_SETTINGS = ("attention", "group_column")  # options that it takes as settings


def repeated(command: Sequence[str], **options: object) -> str:
    """Return a command line with other options, and without the folder that holds what it wrote already."""
    words = _fresh(command)
    for name, value in options.items():
        words = with_option(words, name, value)
    return shlex.join(words)


def _fresh(command: Sequence[str]) -> list[str]:
    words = without_option(without_option(command, "--output"), "-o")
    return [word for word in words if word != "--resume"]


def with_option(command: Sequence[str], name: str, value: object) -> list[str]:
    """Set an option of a command line, `epochs` as --epochs and `training__dropout` as --set training.dropout."""
    key = name.replace("__", ".")
    if key != name:
        return [*_without_key(command, key), "--set", f"{key}={value}"]
    flag = _flag(name)
    kept = _without_key(command, KEYS[name]) if name in KEYS else command
    return [*without_option(kept, flag), flag, str(value)]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _without_key(command: Sequence[str], key: str) -> list[str]:
    """Leave --set KEY=VALUE out of a command line."""
    kept: list[str] = []
    before = ""
    for word in command:
        if before == "--set" and word.partition("=")[0] == key:
            kept.pop()
        elif not word.startswith(f"--set={key}="):
            kept.append(word)
        before = word
    return kept


def without_option(command: Sequence[str], flag: str) -> list[str]:
    """Leave an option and its value out of a command line."""
    kept: list[str] = []
    skip = False
    for word in command:
        if skip or word.startswith(f"{flag}="):
            skip = False
        elif word == flag:
            skip = True
        else:
            kept.append(word)
    return kept


def range_test(command: Sequence[str]) -> str | None:
    """Return the command that measures a learning rate with the model, the data and the settings of a run.

    None for streamed rows, which it does not take.

    Args:
        command: The words of the `toolkit finetune` that made the run.
    """
    if "--streaming" in command or f"{KEYS['streaming']}=true" in command:
        return None
    words = [word for word in _fresh(command) if word not in _NO_FLAGS_OF_RANGE_TEST]
    for flag in _NOT_OF_RANGE_TEST:
        words = without_option(words, flag)
    for key in _NO_KEYS_OF_RANGE_TEST:
        words = _without_key(words, key)
    settings = []
    for name in _AS_SETTINGS:
        flag = _flag(name)
        value = _value(words, flag)
        settings += ["--set", f"{KEYS[name]}={value}"] if value is not None else []
        words = without_option(words, flag)
    if "--from-scratch" in words:
        words.remove("--from-scratch")
        settings += ["--set", f"{KEYS['from_scratch']}=true"]
    return shlex.join(["toolkit", "lr-find", *words[2:], *settings])


def _value(command: Sequence[str], flag: str) -> str | None:
    """Return the value of an option; None where it is not given."""
    for place, word in enumerate(command):
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
        if word == flag and place + 1 < len(command):
            return command[place + 1]
    return None
