"""Results of small runs of every recipe, for comparison after a refactoring.

    python -m tests.golden write FOLDER     run every case and write FOLDER/golden.json
    python -m tests.golden check FOLDER     run every case again, name each difference, exit with 1 if there is one

A record holds digests of weights and depends on the machine, so it is made before a change and compared after every
step of it. Times, versions, paths and wording are not part of it.
"""

import csv
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from tests.support import bitext, planted
from tests.support.checkpoints import TINY, reviews
from tests.support.cli import several

# Keys of reports whose values differ from run to run, or are sentences.
VARYING = {
    "about", "advice", "command", "cost", "created", "environment", "exported_bytes", "exported_speed", "fingerprint",
    "finished", "headline", "notes", "origin", "original_speed", "samples_per_second", "seconds", "sentences", "source",
    "statements", "title", "toolkit", "verdict", "version", "waiting", "warnings",
}  # fmt: skip
QUICK = ("--epochs", "1", "--set", "evaluation.resamples=200")


def sentiment(home: Path) -> list[list[str]]:
    """One class for a text."""
    reviews(home / "data.csv")
    checks = ["--set", "evaluation.checks=[robustness,bias]"]
    return [["finetune", "sentiment", "--model", TINY, *checks], *_verbs("data.csv", "onnx")]


def adapters(home: Path) -> list[list[str]]:
    """One class for a text, learnt by adapters from a random head, with class weights."""
    reviews(home / "data.csv")
    settings = ["adapter.kind=lora", "loss.class_weights=balanced", "training.linear_probe=false"]
    return [["finetune", "sentiment", "--model", TINY, *(p for item in settings for p in ("--set", item))]]


def pairs(home: Path) -> list[list[str]]:
    """One class for two texts."""
    reviews(home / "one.csv")
    with (home / "one.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    with (home / "data.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "text_pair", "label"])
        writer.writerows([row["text"], f"number {n}", row["label"]] for n, row in enumerate(rows))
    (home / "one.csv").unlink()
    return [["finetune", "sentiment", "--model", TINY], *_verbs("data.csv")]


def image(home: Path) -> list[list[str]]:
    """One class for a picture."""
    torch.manual_seed(0)
    planted.model(home / "vit")
    planted.folder(home / "data", 40, 0)
    return [["finetune", "image", "--model", "./vit"], *_verbs("data", "onnx")]


def tokens(home: Path) -> list[list[str]]:
    """A label for each word."""
    reviews(home / "data.csv")
    with (home / "data.csv").open(encoding="utf-8") as stream:
        rows = [row["text"].split() for row in csv.DictReader(stream)]
    lines = [{"tokens": words, "ner_tags": ["B-NUM" if word.isdecimal() else "O" for word in words]} for words in rows]
    (home / "data.csv").unlink()
    (home / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return [["finetune", "tokens", "--model", TINY], *_verbs("data.jsonl", "onnx")]


def translation(home: Path) -> list[list[str]]:
    """A text for a text."""
    bitext.t5(home / "t5")
    bitext.tsv(home / "data.tsv", bitext.pairs(160))
    languages = ["--source", "en", "--target", "de"]
    evaluate, predict = _verbs("data.tsv")
    named = [*predict, "--set", "data.columns.source=en"]
    return [["finetune", "translation", "--model", "./t5", *languages], evaluate, named]


def _verbs(data: str, export: str | None = None) -> list[list[str]]:
    """Return the commands that are run on a finished run."""
    evaluate = ["evaluate", "run", "--fresh", "--output", "again"]
    predict = ["predict", "run", "--input", data, "--output", "said.csv"]
    return [evaluate, predict, *([["export", "run", "--to", export]] if export else [])]


CASES: dict[str, Callable[[Path], list[list[str]]]] = {
    case.__name__: case for case in (sentiment, adapters, pairs, image, tokens, translation)
}


def record(case: str) -> dict[str, Any]:
    """Run a case in a folder of its own and return its results."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary).resolve()
        first, *others = CASES[case](home)
        data = next(home.glob("data*")).name
        commands = [[*first, "--data", data, "--output", "run", *QUICK], *others]
        outcomes = several(commands, cwd=home, timeout=900)
        results: dict[str, Any] = {
            "commands": [[" ".join(c), o.code] for c, o in zip(commands, outcomes, strict=False)]
        }
        for command, outcome in zip(commands, outcomes, strict=False):
            if outcome.code:
                raise RuntimeError(f"{' '.join(command)}\n{outcome.text}")
        run = home / "run"
        results["files"] = sorted(str(file.relative_to(home)) for file in home.rglob("*") if file.is_file())
        results["weights"] = _digest(run / "model" / "model.safetensors")
        results["predictions"] = _jsonable(pq.read_table(run / "predictions.parquet").to_pylist())
        for name in ("run", "again"):
            report = home / name / "report.json"
            results[f"report of {name}"] = _steady(json.loads(report.read_text("utf-8"))) if report.is_file() else None
        output = home / "said.csv"
        results["predicted file"] = output.read_text("utf-8").splitlines() if output.is_file() else None
        exported = next(run.rglob("export.json"), None)
        results["export"] = _steady(json.loads(exported.read_text("utf-8"))) if exported else None
        return results


def _digest(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def _jsonable(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _steady(value: Any) -> Any:
    """Return a report without values that differ from run to run."""
    if isinstance(value, dict):
        return {key: _steady(below) for key, below in value.items() if key not in VARYING}
    return [_steady(below) for below in value] if isinstance(value, list) else value


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield a line for each changed value."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from differences(before.get(key, "absent"), after.get(key, "absent"), f"{path}/{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from differences(left, right, f"{path}[{number}]")
    elif before != after:
        yield f"{path}: {str(before)[:200]} → {str(after)[:200]}"


def main(arguments: list[str]) -> int:
    """Write a record, or compare with one."""
    verb, folder = arguments[0], Path(arguments[1])
    file = folder / "golden.json"
    before = json.loads(file.read_text("utf-8")) if verb == "check" else None
    after = {}
    for case in arguments[2:] or CASES:
        after[case] = record(case)
        sys.stderr.write(f"{case}: {[code for _, code in after[case]['commands']]}\n")
    if before is None:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(after, indent=1, ensure_ascii=False), encoding="utf-8")
        return 0
    lines = [line for case in after for line in differences(before.get(case), after[case], case)]
    sys.stdout.write("".join(f"{line}\n" for line in lines[:200]))
    sys.stdout.write(f"{len(lines)} differences\n")
    return min(1, len(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
