"""Perturbations of a text that should not change its class, and the word lists that they need."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.config import merge
from toolkit.config.files import read_file
from toolkit.errors import ConfigError

Lists = Mapping[str, Any]


@dataclass(frozen=True)
class Perturbation:
    """A change to an input.

    Attributes:
        name: Short name.
        title: As the report prints it.
        change: (input, random generator) → the changed input; an equal one where there is nothing to change.
        adds: Whether it adds words, which may change how a text relates to another.
    """

    name: str
    title: str
    change: Callable[[Any, random.Random], Any]
    adds: bool = False


def load_lists(extra: str | None) -> Lists:
    """Read the words and sentences of the checks, and merge those of a user's file: lists are appended.

    Raises:
        ConfigError: The file cannot be read, or has a key that is not known.
    """
    lists = read_file(Path(__file__).parent / "lists" / "english.yaml")
    if extra is None:
        return lists
    own = read_file(Path(extra))
    unknown = sorted(set(own) - set(lists))
    if unknown:
        raise ConfigError(
            f"{extra} has the unknown key `{unknown[0]}`.",
            f"The keys are {', '.join(lists)}.",
            id="config.unknown-key",
        )
    return _added(lists, own)


def _added(base: Lists, over: Lists) -> Lists:
    """Merge nested mappings; lists that are in both are joined."""
    joined = merge(base, over)
    for key in base.keys() & over.keys():
        if isinstance(base[key], list) and isinstance(over[key], list):
            joined[key] = [*base[key], *(item for item in over[key] if item not in base[key])]
        elif isinstance(base[key], Mapping) and isinstance(over[key], Mapping):
            joined[key] = _added(base[key], over[key])
    return joined


def perturbations(lists: Lists) -> list[Perturbation]:
    """Return the changes that preserve a text's meaning."""
    pairs = [(str(long), str(short)) for long, short in lists["contractions"]]
    before, after = lists["neutral_prefixes"], lists["neutral_suffixes"]
    return [
        Perturbation("typos", "A typo in every eighth word", typos),
        Perturbation("lower_case", "Lower case", lambda text, _: text.lower()),
        Perturbation("upper_case", "Upper case", lambda text, _: text.upper()),
        Perturbation("no_punctuation", "No punctuation", lambda text, _: re.sub(r"\s*[.,;:!?…]+(?=\s|$)", "", text)),
        Perturbation("contractions", "Contractions", lambda text, _: replace(text, pairs)),
        Perturbation("full_forms", "Contractions expanded", lambda text, _: replace(text, [p[::-1] for p in pairs])),
        Perturbation("prefix", "A neutral sentence prepended", lambda text, r: f"{r.choice(before)} {text}", adds=True),
        Perturbation("suffix", "A neutral sentence appended", lambda text, r: f"{text} {r.choice(after)}", adds=True),
    ]


def of_examples(changes: Sequence[Perturbation], texts: int) -> list[Perturbation]:
    """Return the changes of examples, which are tuples of one text or of two.

    The form of a pair changes in the first text, in the second, and in both. A sentence is added to both, the same one,
    since in one alone it may change the relation between them.

    Args:
        changes: Of a text.
        texts: Texts of an example.
    """
    if texts == 1:
        return [_within(change, range(1), "", "") for change in changes]
    places = (
        ("first", "in the first text", range(1)),
        ("second", "in the second text", range(1, 2)),
        ("both", "in both texts", range(2)),
    )
    return [
        _within(change, numbers, f"_{name}", f", {title}")
        for change in changes
        for name, title, numbers in (places[2:] if change.adds else places)
    ]


def _within(change: Perturbation, numbers: range, name: str, title: str) -> Perturbation:
    """Return a change of the texts with these numbers in an example, by the same random draws in each."""

    def changed(texts: tuple[str, ...], chance: random.Random) -> tuple[str, ...]:
        seed = chance.random()
        return tuple(
            change.change(text, random.Random(seed)) if number in numbers else text for number, text in enumerate(texts)
        )

    return Perturbation(f"{change.name}{name}", f"{change.title}{title}", changed, change.adds)


def word_perturbations() -> list[Perturbation]:
    """Return the changes to the words of a text that keep each word in its place, and so its label."""
    return [
        Perturbation("typos", "A typo in every eighth word", misspelt),
        Perturbation("lower_case", "Lower case", lambda words, _: [word.lower() for word in words]),
        Perturbation("upper_case", "Upper case", lambda words, _: [word.upper() for word in words]),
    ]


def typos(text: str, chance: random.Random) -> str:
    """Swap, leave out or double a letter in about every eighth word of four letters or more; at least in one."""
    return "".join(misspelt(re.split(r"(\s+)", text), chance))


def misspelt(pieces: Sequence[str], chance: random.Random) -> list[str]:
    """Return words, or words and the white space between them, with the same changes."""
    words = list(pieces)
    long = [place for place, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    for place in chance.sample(long, k=min(len(long), max(1, round(len(long) / 8)))):
        word = words[place]
        at = chance.randrange(1, len(word) - 1)  # the first and last letters are kept
        kind = chance.randrange(3)
        if kind == 0 and word[at] != word[at - 1] and at > 1:
            words[place] = word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
        elif kind == 1:
            words[place] = word[:at] + word[at + 1 :]
        else:
            words[place] = word[:at] + word[at] + word[at:]
    return words


def replace(text: str, pairs: list[tuple[str, str]]) -> str:
    """Replace whole words, ignoring case; an initial capital is kept."""
    table = {word.casefold(): other for word, other in reversed(pairs)}
    if not table:
        return text
    longest_first = sorted(table, key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w'])({'|'.join(map(re.escape, longest_first))})(?![\w'])", re.IGNORECASE)

    def other(match: re.Match[str]) -> str:
        new = table[match[0].casefold()]
        if match[0].isupper() and len(match[0]) > 1:
            return new.upper()
        return new[:1].upper() + new[1:] if match[0][0].isupper() else new

    return pattern.sub(other, text)
