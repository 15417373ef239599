"""Columns of pictures have one shape, whatever they were read from."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.support.errors import refused
from tests.support.pictures import encoded, folder, hostile, picture
from toolkit.config.settings import DataConfig
from toolkit.data.images import image_columns, image_decoding
from toolkit.data.media import columns as media_columns
from toolkit.errors import DataError

MOST = 1_000_000  # pixels


def inspected(values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, list[str | None]]:
    return media_columns.inspected(values, image_columns.PICTURES, DataConfig(max_pixels=MOST))


def test_names_of_files_are_found_beside_and_below_the_table(tmp_path: Path):
    folder(tmp_path / "pictures", 2)
    names = ["pictures/dark/000.png", "light/001.png", "001", None, " ", "http://x/y.png", "nothing.png", "x\0y"]
    table = pa.chunked_array([pa.array(names)])
    (tmp_path / "pictures" / "dark" / "001.png").rename(tmp_path / "pictures" / "dark" / "alone.png")
    result = image_columns.column(table, ["table.csv"] * len(names), tmp_path).to_pylist()
    paths = [row["path"] for row in result]
    assert paths[0] == str(tmp_path / "pictures/dark/000.png")
    assert paths[1] == paths[2] == str(tmp_path / "pictures/light/001.png")
    assert paths[3] is paths[4] is None
    _, problems = inspected(image_columns.column(table, ["table.csv"] * len(names), tmp_path))
    assert problems[:3] == [None, None, None]
    assert problems[3] == problems[4] == "is missing"
    assert problems[6] == "does not exist"
    assert all(problems[3:])


def test_columns_of_bytes_and_of_the_datasets_library_are_pictures():
    data = encoded(picture(True), "PNG")
    plain = image_columns.column(pa.chunked_array([pa.array([data, None])]), ["", ""], None)
    theirs = image_columns.column(pa.chunked_array([pa.array([{"bytes": data, "path": "a.png"}])]), [""], None)
    assert plain.type == theirs.type == image_columns.TYPE
    looked, problems = inspected(plain)
    assert problems == [None, "is missing"]
    assert looked[0].as_py()["width"] == 16
    with refused(DataError, "data.wrong-kind", "int64"):
        image_columns.column(pa.chunked_array([pa.array([1])]), [""], None)


def test_rows_that_are_kept_hold_the_bytes_and_no_folder(tmp_path: Path):
    file = folder(tmp_path, 1) / "dark" / "000.png"
    looked, _ = inspected(image_columns.column(pa.chunked_array([pa.array([str(file)])]), [""], None))
    rows = pa.table({"image": looked, "label": [0]})
    kept = media_columns.embedded(rows)["image"][0].as_py()
    assert kept["bytes"] == file.read_bytes()
    assert kept["path"] == "000.png"
    assert kept["digest"] == looked[0].as_py()["digest"]
    slim = media_columns.slim(looked)[0].as_py()
    assert (slim["bytes"], slim["path"]) == (None, "000.png")
    file.unlink()
    assert inspected(media_columns.embedded(rows.slice(0, 0))["image"])[1] == []
    again, problems = inspected(pa.chunked_array([pa.array([kept], image_columns.TYPE)]))
    assert problems == [None]
    assert np.asarray(image_decoding.decode(again[0].as_py(), MOST)).shape == (16, 16, 3)


def test_hostile_files_are_all_accounted_for(tmp_path: Path):
    good, bad = hostile(tmp_path, 300)
    files = sorted(tmp_path.iterdir())
    raw = image_columns.column(pa.chunked_array([pa.array([str(f) for f in files])]), [""] * len(files), None)
    looked, problems = inspected(raw)
    assert len(looked) == len(problems) == 300
    assert sum(problem is None for problem in problems) == good
    assert sum(problem is not None for problem in problems) == bad
    for row, problem in zip(looked.to_pylist(), problems, strict=True):
        if problem is None:
            assert image_decoding.decode(row, MOST).size == (row["width"], row["height"])


def test_names_of_files_meet_in_either_normal_form(tmp_path: Path):
    folder(tmp_path / "pictures", 1)
    (tmp_path / "pictures" / "dark" / "000.png").rename(tmp_path / "pictures" / "dark" / "cafe\u0301.png")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "caf\u00e9.png").touch()
    (tmp_path / "pictures" / "._caf\u00e9.png").touch()
    for name in ("pictures/dark/caf\u00e9.png", "Caf\u00e9.png", "caf\u00e9"):
        (result,) = image_columns.column(pa.chunked_array([pa.array([name])]), ["table.csv"], tmp_path).to_pylist()
        assert result["path"] == str(tmp_path / "pictures/dark/cafe\u0301.png")
