"""Answers that are more than one class, on real texts: several classes, ordered classes, numbers, and pairs.

    python -m benchmarks.targets                     train and test on all tables
    python -m benchmarks.targets --table FILE.json   print a written record as a Markdown table

The texts are the one-line descriptions of Debian's packages, out of the package lists of apt. Answers are what the
lists say about them: the most frequent tags; the installed size, as the decimal logarithm of kilobytes or as one of
five ordered classes with equally many packages; and for two descriptions of one section whether both packages are
built from the same source. Everything is left at its default except the model, MiniLM.
"""

import csv
import json
import math
import random
import re
import resource
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.default_data import SEED, packages
from benchmarks.speech import command, toolkit

TRAIN, TEST = 2000, 1000
TAGS = 20
SIZES = 5
_LOW = 0.05  # shares of the smallest and largest packages that are left out, which are empty or data

Row = tuple[str, ...]  # the cells of a row; the last is the label


@dataclass(frozen=True)
class Table:
    """A table of one kind of answer.

    Attributes:
        target: As `--target` names it.
        columns: Names of its columns.
        make: Makes its rows.
        metrics: Names of those shown.
    """

    target: str
    columns: Row
    make: Callable[[], Sequence[Row]]
    metrics: Sequence[str]


def described() -> list[Mapping[str, str]]:
    """Return the packages with a description, a tag and a size; of like descriptions the first."""
    rows = [package for package in packages() if {"Description", "Tag", "Installed-Size"} <= package.keys()]
    rows = list({package["Description"]: package for package in reversed(rows)}.values())
    return sorted(rows, key=lambda package: package["Package"])


def tags_of(package: Mapping[str, str]) -> list[str]:
    """Return the tags of a package."""
    return [tag.strip() for tag in package["Tag"].split(",") if tag.strip()]


def tags() -> list[Row]:
    """Return descriptions with those of their tags that are among the most frequent ones."""
    rows = described()
    frequent = {tag for tag, _ in Counter(tag for row in rows for tag in tags_of(row)).most_common(TAGS)}
    return [(row["Description"], "|".join(tag for tag in tags_of(row) if tag in frequent)) for row in rows]


def sizes() -> list[Row]:
    """Return descriptions with the decimal logarithm of the installed size in kilobytes."""
    rows = sorted((math.log10(int(row["Installed-Size"]) + 1), row["Description"]) for row in described())
    ends = round(len(rows) * _LOW)
    return [(text, f"{size:.3f}") for size, text in rows[ends:-ends]]


def size_classes() -> list[Row]:
    """Return descriptions with the class of their size, from 1 to the number of classes."""
    rows = sizes()
    return [(text, str(1 + place * SIZES // len(rows))) for place, (text, _) in enumerate(rows)]


def same_source() -> list[Row]:
    """Return pairs of descriptions of one section, and whether their packages have the same source; half have."""
    draw = random.Random(SEED)
    by_source: dict[str, list[Mapping[str, str]]] = {}
    by_section: dict[str, list[Mapping[str, str]]] = {}
    for row in described():
        source = re.split(r"\s", row.get("Source", row["Package"]))[0]
        by_source.setdefault(source, []).append({**row, "Source": source})
        by_section.setdefault(row["Section"], []).append({**row, "Source": source})
    pairs: list[Row] = []
    for source, rows in by_source.items():
        others = [other for other in by_section[rows[0]["Section"]] if other["Source"] != source]
        if len(rows) > 1 and others:
            first, second = draw.sample(rows, 2)
            pairs.append((first["Description"], second["Description"], "same"))
            pairs.append((first["Description"], draw.choice(others)["Description"], "other"))
    return pairs


TABLES = {
    "tags of a package": Table("classes", ("text", "tags"), tags, ("micro_f1", "macro_f1")),
    "size, in five classes": Table("stars", ("text", "size"), size_classes, ("quadratic_kappa", "ordinal_mae")),
    "size, as a logarithm": Table("number", ("text", "size"), sizes, ("mae", "r2")),
    "two packages, one source": Table("class", ("text", "text_pair", "label"), same_source, ("accuracy", "f1")),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, test and print."""
    return command("targets", "Several classes, stars, numbers and pairs.", 0, measured, markdown, arguments)


def measured(folder: Path) -> dict[str, Any]:
    """Train and test on each table; return its rows, metrics, baselines and CPU seconds."""
    return {"tables": {name: _run(table, folder / str(place)) for place, (name, table) in enumerate(TABLES.items())}}


def _run(table: Table, folder: Path) -> dict[str, Any]:
    rows = list(table.make())
    drawn = random.Random(SEED).sample(rows, min(len(rows), TRAIN + TEST))
    (folder / "data").mkdir(parents=True)
    for part, chosen in (("train", drawn[:-TEST]), ("test", drawn[-TEST:])):
        with (folder / "data" / f"{part}.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([table.columns, *chosen])
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    toolkit(
        *("finetune", "text", "--model", "minilm", "--data", folder / "data", "--output", folder / "run"),
        *("--target", table.target, "--set", "training.device=cpu"),
    )
    report = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    return {
        "target": table.target,
        "rows": {part["name"]: part["rows"] for part in report["data"]["splits"]},
        "metrics": report["evaluation"]["metrics"],
        "baselines": {item["name"]: item["metrics"] for item in report["baselines"]},
        "cpu_seconds": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, 1),
    }


def markdown(record: dict[str, Any]) -> str:
    """Return the metrics of each table, and those of its baselines, as a Markdown table."""
    lines = [
        "| table | `--target` | rows to learn from | metric | toolkit | 95 % interval | baselines | CPU s |",
        "| --- | --- | ---: | --- | ---: | --- | --- | ---: |",
    ]
    for name, result in record["tables"].items():
        for metric in TABLES[name].metrics:
            own = _named(result["metrics"], metric)
            others = [(title, _named(metrics, metric)) for title, metrics in result["baselines"].items()]
            listed = ", ".join(f"{_inside(title)} {_shown(item)}" for title, item in others if item)
            lines.append(
                f"| {name} | `{result['target']}` | {result['rows']['train']:,} | {own['title']} | {_shown(own)} | "
                f"{_shown(own, 'low')} to {_shown(own, 'high')} | {listed} | {_seconds(result)} |"
            )
    rows = f"{TEST:,} test rows each; MiniLM, nothing else set, on one thread."
    return "\n".join([*lines, "", f"{rows} {record['date']}, `{record['command']}`."]) + "\n"


def _inside(title: str) -> str:
    """Write a title inside a sentence."""
    return title if title[:2].isupper() else title[0].lower() + title[1:]


def _seconds(result: Mapping[str, Any]) -> str:
    return "–" if result["cpu_seconds"] is None else f"{result['cpu_seconds']:.0f}"


def _named(metrics: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((metric for metric in metrics if metric["name"] == name), {})


def _shown(metric: Mapping[str, Any], key: str = "value") -> str:
    value = metric[key]
    if value is None:
        return "–"
    return f"{100 * value:.1f} %" if metric.get("unit") == "fraction" else f"{value:.3f}"


if __name__ == "__main__":
    raise SystemExit(main())
