"""The error of a word alignment against a manual one, compared with trivial alignments.

A gold file has a line for each pair of sentences, in Pharaoh's format: `0-0 1-2 2?1`, the number of the source word,
the number of the target word, both from 0, with words separated by spaces. `-` is a sure link, `?` or `p` a
possible one.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.formats.text_decoding import read_lines
from toolkit.errors import DataError, SourceError
from toolkit.evaluation.statistics.intervals import Interval, bootstrap

Link = tuple[int, int]  # source word, target word
_LINK = re.compile(r"(\d+)([-?p])(\d+)")
DRAWS = 100  # random alignments of each pair of sentences


@dataclass(frozen=True)
class Gold:
    """The manual alignment of one pair of sentences.

    Attributes:
        sure: Sure links.
        possible: Possible links, including the sure ones.
    """

    sure: frozenset[Link]
    possible: frozenset[Link]


def read_gold(path: Path) -> list[Gold]:
    """Read a gold alignment, a line for each pair of sentences.

    Raises:
        SourceError: There is no such file.
        DataError: A line is not in Pharaoh's format.
    """
    if not path.is_file():
        raise SourceError(
            f"The gold alignment {path} does not exist.", "Check the path given with --gold.", id="source.file-missing"
        )
    golds = []
    for number, line in enumerate(read_lines(path, None), 1):
        links = [(_LINK.fullmatch(word), word) for word in line.split()]
        bad = [word for match, word in links if match is None]
        if bad:
            raise DataError(
                f"{path}, line {number}: `{bad[0]}` is not a link.",
                "Write links as 0-0 (sure) or 0?1 (possible): number of the source word, number of the target word.",
                id="data.malformed-gold",
            )
        made = [(int(match[1]), match[2], int(match[3])) for match, _ in links if match is not None]
        sure = frozenset((source, target) for source, kind, target in made if kind == "-")
        golds.append(Gold(sure, frozenset((source, target) for source, _, target in made)))
    return golds


def counts(links: Collection[Link], gold: Gold) -> tuple[int, int, int, int]:
    """Return (|A ∩ S|, |A ∩ P|, |A|, |S|) of an alignment A with sure links S and possible links P."""
    made = set(links)
    return len(made & gold.sure), len(made & gold.possible), len(made), len(gold.sure)


def error_rate(sums: Any) -> Any:
    """Return the alignment error rate 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|) of summed counts. Shapes (..., 4) → (...).

    Source: Och and Ney 2003, "A Systematic Comparison of Various Statistical Alignment Models", equation 27.
    """
    sums = np.asarray(sums, np.float64)
    made = sums[..., 2] + sums[..., 3]
    return 1 - (sums[..., 0] + sums[..., 1]) / np.where(made > 0, made, np.nan)


def interval(
    alignments: Sequence[Collection[Link]], golds: Sequence[Gold], *, confidence: float, resamples: int, seed: int
) -> Interval:
    """Return the error rate over all sentences, with its interval from resampled sentences."""
    statistics = np.array([counts(*pair) for pair in zip(alignments, golds, strict=True)], np.float64)
    return bootstrap(statistics, error_rate, confidence=confidence, resamples=resamples, seed=seed)


def diagonal(source: int, target: int) -> list[Link]:
    """Link each of `target` words to the source word at the same relative position."""
    return [((2 * place + 1) * source // (2 * target), place) for place in range(target)] if source else []


def random_rate(sizes: Sequence[tuple[int, int]], golds: Sequence[Gold], seed: int) -> float:
    """Return the error rate where each target word is linked to a source word drawn at random, over many draws.

    Args:
        sizes: Number of source and of target words of each pair.
        golds: The manual alignments.
        seed: Of the draws.
    """
    random = np.random.default_rng(seed)
    total = np.zeros(4)
    for (source, target), gold in zip(sizes, golds, strict=True):
        if source:
            for drawn in random.integers(source, size=(DRAWS, target)).tolist():
                total += counts(list(zip(drawn, range(target), strict=True)), gold)
        else:
            total[3] += DRAWS * len(gold.sure)
    return float(error_rate(total))
