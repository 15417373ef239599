"""Labels: their names, several in one cell, lists in cells, parts and rows without any."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from tests.support.cli import Outcome, several
from tests.support.pictures import picture

MODEL = ("--model", "pkg://cognition/model")
MAP = "data.label_map"


def _inspect(folder: Path, *commands: tuple[str | Path, ...]) -> list[Outcome]:
    return several([("inspect", *command) for command in commands], cwd=folder)


def _table(path: Path, rows: list[tuple[object, ...]], header: str = "text,label") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(str(value) for value in row) for row in rows]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def _classified(path: Path, names: list[str]) -> Path:
    """Write a Parquet file whose schema names the classes, each of which has a word of its own."""
    rows = [(f"the {names[n % len(names)]} harbour, day {n}", n % len(names)) for n in range(40)]
    feature = {"label": {"names": names, "_type": "ClassLabel"}}
    table = pa.table({"text": [text for text, _ in rows], "label": [number for _, number in rows]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": feature}})})
    parquet.write_table(table, path)
    return path


def case_names_of_classes_in_a_schema(folder: Path) -> None:
    """Numbers take the names of the schema; a column label_text names them, too; three bare numbers stay numbers."""
    path = _classified(folder / "tides.parquet", ["rising", "falling", "slack"])
    turned = _classified(folder / "turned.parquet", ["positive", "negative"])
    words = ("rising", "falling", "slack")
    rows = [(f"gauge {n}", n % 3, words[n % 3]) for n in range(30)]
    named = _table(folder / "named.csv", rows, "text,label,label_text")
    bare = _table(folder / "bare.csv", [row[:2] for row in rows])
    schema, other, beside, numbers = _inspect(folder, (path,), (turned,), (named,), (bare,))
    assert "rising 14" in schema.out, schema.text
    assert any(line.split()[:4] == ["positive", "the", "positive", "harbour,"] for line in other.out.splitlines())
    assert "falling 10" in beside.out, beside.text
    assert "0 10" in numbers.out, numbers.text
    assert "neutral" not in numbers.text
    assert "numbers without names" in " ".join(numbers.err.split())


def case_parts_and_rows_without_labels(folder: Path) -> None:
    """A test part of -1, or without a column of labels, is ignored; so is a folder of unlabelled texts."""
    train = [(f"gauge {n}", n % 2) for n in range(40)]
    for name, header, label in (("glue", "text,label", -1), ("contest", "text,id", 7)):
        _table(folder / name / "train.csv", train)
        _table(folder / name / "test.csv", [(f"other gauge {n}", label) for n in range(9)], header)
    for part, names in (("train", ("low", "high", "unsup")), ("test", ("low", "high"))):
        for name in names:
            (folder / "texts" / part / name).mkdir(parents=True)
            for n in range(5):
                (folder / "texts" / part / name / f"{n}.txt").write_text(f"{part} {name} {n}", encoding="utf-8")
    glue, contest, texts = _inspect(folder, ("glue",), ("contest",), ("texts",))
    for outcome in (glue, contest):
        assert "test part has no" in " ".join(outcome.err.split()), outcome.text
        assert "refuse" not in outcome.err
        assert "negative 20" in outcome.out
    assert "high 5 (50.0 %), low 5 (50.0 %)" in texts.out, texts.text
    assert "unsup" not in texts.out


def case_booleans_and_numbers_in_settings(folder: Path) -> None:
    """True and 1.0 in a table are what YAML reads as true and 1: in maps, filters and the positive class."""
    boolean = _table(folder / "boolean.csv", [(f"gauge {n}", n % 2 == 0) for n in range(40)])
    number = _table(folder / "number.csv", [(f"gauge {n}", f"{n % 2}.0") for n in range(40)])
    plan = ("finetune", "sentiment", *MODEL, "--dry-run", "--output", "x", "--data")
    mapped, result, numbers = several(
        [
            (*plan, boolean, "--set", f"{MAP}={{True: leak, False: dry}}", "--set", "evaluation.positive_class=leak"),
            (*plan, boolean, "--set", "evaluation.positive_class=True"),
            (*plan, number, "--set", f"{MAP}={{1: leak, 0.0: dry}}", "--set", "data.where={label: 1}"),
        ],
        cwd=folder,
    )[:3]
    assert (mapped.code, result.code) == (0, 0), mapped.text + result.text
    assert "`leak`" in numbers.err, numbers.text  # the filter left one class, whose rows it found


def case_lists_in_cells(folder: Path) -> None:
    """Lists as pandas and NumPy write them are words and labels; a list of one is its label, of several is refused."""
    words = ["Ada", "left", "Lima"]
    tags = ["B-PER", "O", "B-LOC"]
    sentences = [[*words, str(n)] for n in range(30)]
    pandas = [f'"{sentence}","{[*tags, "O"]}"' for sentence in sentences]
    numpy = [row.replace("', '", "' '") for row in pandas]
    for name, rows in (("pandas", pandas), ("numpy", numpy)):
        (folder / f"{name}.csv").write_text("\n".join(["tokens,ner_tags", *rows]), encoding="utf-8")
    items = [json.dumps({"text": f"gauge {n}", "label": [("low", "high")[n % 2]]}) for n in range(20)]
    (folder / "one.jsonl").write_text("\n".join(items), encoding="utf-8")
    both = json.dumps({"text": "gauge", "label": ["low", "high"]})
    (folder / "both.jsonl").write_text("\n".join([*items, both]), encoding="utf-8")
    tokens = ("--recipe", "tokens", *MODEL)
    first, second, single, refused = _inspect(
        folder, ("pandas.csv", *tokens), ("numpy.csv", *tokens), ("one.jsonl",), ("both.jsonl",)
    )
    for outcome in (first, second):
        assert "B-LOC 30 (25.0 %), B-PER 30 (25.0 %), O 60 (50.0 %)" in outcome.out, outcome.text
    assert "high 10" in single.out
    assert refused.code == 2
    assert "both.jsonl, row 21: low, high" in " ".join(refused.err.split())


def case_several_labels_in_a_cell(folder: Path) -> None:
    """Separated labels are not classes of their own; a name with a comma is one."""
    cells = ["crane", "dock", "crane;dock", "dock;rail", "rail"]
    mixed = _table(folder / "mixed.csv", [(f"gauge {n}", cells[n % 5]) for n in range(50)])
    names = ['"Ships, Boats"', '"Cranes, Lifts"', "Rails"]
    single = _table(folder / "single.csv", [(f"gauge {n}", names[n % 3]) for n in range(30)])
    plan = ("finetune", "sentiment", *MODEL, "--dry-run", "--output", "x", "--data")
    fine, refused = several([(*plan, single), (*plan, mixed)], cwd=folder)
    assert fine.code == 0, fine.text
    assert refused.code == 2
    assert "20 of 50 rows have several labels" in " ".join(refused.err.split())
    assert "crane;dock" in refused.err


def case_rare_labels(folder: Path) -> None:
    """All labels with too few rows are named at once, and one setting leaves them out or merges them."""
    rows = [(f"gauge {n}", ("low", "high")[n % 2]) for n in range(40)]
    path = _table(folder / "gauges.csv", [*rows, ("odd one", "ebb"), ("odder one", "flood"), ("oddest", "flood")])
    plan = ("finetune", "sentiment", *MODEL, "--dry-run", "--output", "x", "--data", path)
    least = ("--set", "data.min_label_rows=3")
    dropped, merged, refused = several(
        [(*plan, *least), (*plan, *least, "--set", "data.rare_labels=merge"), plan], cwd=folder
    )
    assert "ebb 1, flood 2" in " ".join(dropped.err.split()), dropped.text
    assert "merged into `other`" in " ".join(merged.err.split()), merged.text
    assert refused.code == 2
    assert all(text in refused.err for text in ("`ebb`", "`flood`", "data.min_label_rows")), refused.text


def case_pictures_in_parts_without_classes(folder: Path) -> None:
    """Folders train and test are never classes: a table names the pictures, or their own names do if configured."""
    for part, names in (("train", [f"{('dark', 'light')[n % 2]}.{n}" for n in range(24)]), ("test", ["1", "2"])):
        (folder / "pets" / part).mkdir(parents=True)
        for seed, name in enumerate(names):
            picture("light" in name, seed=seed).save(folder / "pets" / part / f"{name}.png")
    ids = [f"{('dark', 'light')[n % 2]}.{n},{('night', 'day')[n % 2]}" for n in range(24)]
    shutil.copytree(folder / "pets", folder / "named")
    (folder / "named" / "labels.csv").write_text("\n".join(["id,class", *ids]), encoding="utf-8")
    image = ("--recipe", "image")
    table, requested, refused = _inspect(
        folder, ("named", *image), ("pets", *image, "--set", "options.class_from_name=true"), ("pets", *image)
    )
    assert "day 12" in table.out, table.text
    assert "dark 12" in requested.out, requested.text
    assert refused.code == 2
    assert "options.class_from_name=true" in refused.err


def case_names_of_classes_exchanged_after_the_run(folder: Path) -> None:
    """A model whose names of classes are not those of its run is refused, with both."""
    path = _classified(folder / "tides.parquet", ["rising", "falling"])
    quick = ("--epochs", "1", "--set", "evaluation.baselines=false", "--set", "evaluation.resamples=100")
    (made,) = several([("finetune", "sentiment", *MODEL, "--data", path, "--output", "run", *quick)], cwd=folder)
    assert made.code == 0, made.text
    file = folder / "run" / "model" / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "rising", "1": "falling"}
    config["id2label"] = {"0": "falling", "1": "rising"}
    file.write_text(json.dumps(config), encoding="utf-8")
    (refused,) = several([("evaluate", "run")], cwd=folder)
    assert refused.code == 2, refused.text
    assert "falling, rising" in refused.err
    assert "rising, falling" in refused.err
