"""Tables as other programs write them, and malformed ones."""

import gzip
import json
import unicodedata
import zipfile
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from tests.support.cli import Outcome, toolkit

_TEXTS = [
    f"{'a dull' if n % 2 else 'a lovely'} walk along the {place} {n}" for n, place in enumerate(["river", "wall"] * 12)
]
_LABELS = ["bad" if n % 2 else "good" for n in range(len(_TEXTS))]
_ROWS = list(zip(_TEXTS, _LABELS, strict=True))


def _inspect(folder: Path, *names: str) -> list[Outcome]:
    """Inspect each of some files; return the outcomes."""
    return [toolkit("inspect", *name.split(" ", 1), cwd=folder) for name in names]


def _whole(outcome: Outcome, classes: str = "bad 12 (50.0 %), good 12 (50.0 %)") -> None:
    assert outcome.code == 0, outcome.text
    assert classes in outcome.out, outcome.text


def case_spreadsheets(folder: Path) -> None:
    """Trailing separators, `sep=`, empty rows, UTF-16 with tabs, CR line ends: 24 rows of two classes each."""
    table = "text;label;;\r\n" + "".join(f"{text};{label};;\r\n" for text, label in _ROWS)
    (folder / "trailing.csv").write_text(table + ";;;\r\n" * 400, encoding="utf-8-sig")
    (folder / "sep.csv").write_text(f"sep=;\r\n{table}", encoding="utf-8")
    tabs = "text\tlabel\r\n" + "".join(f"{text}\t{label}\r\n" for text, label in _ROWS)
    (folder / "unicode.tab").write_text(tabs, encoding="utf-16", newline="")
    (folder / "cr.txt").write_text(tabs.replace("\r\n", "\r"), encoding="utf-8", newline="")
    output = _inspect(folder, "trailing.csv", "sep.csv", "unicode.tab", "cr.txt")
    for outcome in output:
        _whole(outcome)
    assert "400 rows" in output[0].text
    assert "2 columns" in output[0].text


def case_no_header(folder: Path) -> None:
    """A file without a line of names is refused as such; with data.column_names all of its rows are read."""
    lines = [f"{n},{text},{label}\n" for n, (text, label) in enumerate(_ROWS)]
    (folder / "a.csv").write_text("".join(lines), encoding="utf-8")
    named, bare = _inspect(folder, "a.csv --set=data.column_names=[id,text,label]", "a.csv")
    _whole(named)
    assert bare.code == 2
    assert "first line looks like data" in bare.err
    assert "data.column_names" in bare.err


def case_labels_meet(folder: Path) -> None:
    """0.0, "0" and 0 are one label in CSV, JSON and Parquet; so are é in two normal forms, and True and true."""
    (folder / "numbers").mkdir()
    train = "text,label\n" + "".join(f"{text},{float(label == 'good')}\n" for text, label in _ROWS)
    (folder / "numbers" / "train.csv").write_text(train, encoding="utf-8")
    test = "".join(json.dumps({"text": f"{text}!", "label": int(label == "good")}) + "\n" for text, label in _ROWS)
    (folder / "numbers" / "test.jsonl").write_text(test, encoding="utf-8")
    (folder / "forms").mkdir()
    for part, form in (("train", "NFC"), ("test", "NFD")):
        names = {"good": unicodedata.normalize(form, "café"), "bad": "pub"}
        table = pa.table({"text": [f"{text} {part}" for text in _TEXTS], "label": [names[label] for label in _LABELS]})
        parquet.write_table(table, folder / "forms" / f"{part}.parquet")
    (folder / "flags.csv").write_text(
        "text,label\n" + "".join(f"{text},{label == 'good'}\n" for text, label in _ROWS), encoding="utf-8"
    )
    numbers, forms, flags = _inspect(
        folder, "numbers", "forms", "flags.csv --set=data.label_map={False: bad, True: good}"
    )
    assert numbers.out.count("negative 12 (50.0 %), positive 12 (50.0 %)") == 2, numbers.text
    assert forms.out.count("café 12 (50.0 %), pub 12 (50.0 %)") == 2, forms.text
    _whole(flags, "bad 12 (50.0 %)")


def case_nan_is_missing(folder: Path) -> None:
    """NaN in JSON and in Parquet is neither a text nor a class."""
    values = [*({"text": text, "label": label} for text, label in _ROWS), {"text": float("nan"), "label": "good"}]
    values.append({"text": "a walk", "label": float("nan")})
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, values)), encoding="utf-8")
    numbers = [*(float(label == "good") for label in _LABELS), float("nan")]
    table = pa.table({"text": [*_TEXTS, "a walk"], "label": pa.array(numbers, from_pandas=False)})
    parquet.write_table(table, folder / "a.parquet")
    lines, columns = _inspect(folder, "a.jsonl", "a.parquet")
    _whole(lines)
    _whole(columns, "negative 12 (50.0 %), positive 12 (50.0 %)")


def case_archives_and_saved_sets(folder: Path) -> None:
    """A zip of folders of classes, what `save_to_disk` wrote, and fastText's lines are read as any table."""
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for number, (text, label) in enumerate(_ROWS):
            archive.writestr(f"set/{label}/{number}.txt", text)
            archive.writestr(f"__MACOSX/set/{label}/._{number}.txt", "x")
    saved = folder / "saved" / "train"
    saved.mkdir(parents=True)
    table = pa.table({"text": _TEXTS, "label": [int(label == "good") for label in _LABELS]})
    with pa.ipc.new_stream(saved / "data-00000-of-00001.arrow", table.schema) as writer:
        writer.write_table(table)
    names = {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}
    (saved / "dataset_info.json").write_text(json.dumps({"features": names}), encoding="utf-8")
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
    (saved / "state.json").write_text(json.dumps(state), encoding="utf-8")
    (saved.parent / "dataset_dict.json").write_text('{"splits": ["train"]}', encoding="utf-8")
    marked = "".join(f"__label__{label} {text}\n" for text, label in _ROWS)
    (folder / "a.txt").write_text(marked, encoding="utf-8")
    for outcome in _inspect(folder, "a.zip", "saved", "a.txt"):
        _whole(outcome)


def case_bombs(folder: Path) -> None:
    """A few kilobytes that unpack to gigabytes are refused: a line, a dictionary of Parquet, an archive."""
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 4000, pa.int32()), pa.array(["x" * 2**20]))
    parquet.write_table(pa.table({"text": repeated, "label": _LABELS[:2] * 2000}), folder / "a.parquet")
    with gzip.open(folder / "a.txt.gz", "wb", 1) as stream:
        for _ in range(40):
            stream.write(b"x" * 2**20)
    for name, text in (("a.parquet", "unpacks to more than"), ("a.txt.gz", "longer than")):
        (outcome,) = _inspect(folder, name)
        assert outcome.code == 2, outcome.text
        assert text in outcome.err
