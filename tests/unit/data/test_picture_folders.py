"""Which folders are folders of pictures, and what becomes of each file in them."""

import io
import struct
from pathlib import Path

import pytest
from PIL import Image

from tests.support.pictures import folder, hostile
from toolkit import recipes
from toolkit.data import picture_folders, pictures
from toolkit.data.load import load_splits, load_table
from toolkit.errors import DataError
from toolkit.settings import DataConfig


@pytest.fixture
def image() -> recipes.Recipe:
    return recipes.load("image")


def test_a_folder_for_each_class(tmp_path: Path):
    folder(tmp_path, 2)
    (tmp_path / "dark" / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "dark" / "000.png").rename(tmp_path / "dark" / "deep" / "deeper" / "000.png")
    (tmp_path / "dark" / ".hidden.png").touch()
    (tmp_path / "dark" / "Thumbs.db").touch()
    (table,) = picture_folders.read(tmp_path, []).values()
    assert table["_file"].to_pylist() == ["dark/001.png", "dark/deep/deeper/000.png", "light/000.png", "light/001.png"]
    assert table["label"].to_pylist() == ["dark", "dark", "light", "light"]


def test_parts(tmp_path: Path):
    folder(tmp_path / "inner", 2, parts=("train", "val", "Test"))
    parts = picture_folders.read(tmp_path, [])
    assert {name: table.num_rows for name, table in parts.items()} == {"train": 4, "validation": 4, "test": 4}
    assert parts["test"]["label"].to_pylist() == ["dark", "dark", "light", "light"]


def test_what_is_no_folder_of_pictures_is_left_to_others(tmp_path: Path):
    assert picture_folders.read(tmp_path, []) is None
    folder(tmp_path, 1)
    (tmp_path / "labels.csv").write_text("file,label\n", encoding="utf-8")
    assert picture_folders.read(tmp_path, []) is None
    assert picture_folders.read(tmp_path / "labels.csv", []) is None
    texts = tmp_path / "texts"
    for label in ("a", "b"):
        (texts / label).mkdir(parents=True)
        (texts / label / "1.txt").write_text("x", encoding="utf-8")
    assert picture_folders.read(texts, []) is None


def test_what_lies_beside_the_classes_is_said(tmp_path: Path):
    folder(tmp_path, 3)
    (tmp_path / "none").mkdir()
    (tmp_path / "light" / "000.png").rename(tmp_path / "stray.png")
    (tmp_path / "info.json").write_text('[{"author": "somebody"}]', encoding="utf-8")
    notes: list[str] = []
    (table,) = picture_folders.read(tmp_path, notes).values()
    assert table.num_rows == 5
    assert len(notes) == 3
    assert all(name in note for name, note in zip(("info.json", "none", "stray.png"), notes, strict=True))


def test_what_lies_beside_the_parts_is_said(tmp_path: Path):
    folder(tmp_path, 3, parts=("train", "holdout"))
    folder(tmp_path / "papers" / "deep", 0)
    notes: list[str] = []
    assert set(picture_folders.read(tmp_path, notes)) == {"train"}
    (note,) = notes
    assert note.startswith("holdout is not read, with 6 pictures:")


@pytest.mark.parametrize(
    "table", ["file,kind\n000.png,dark\n", "id,kind\n" + "".join(f"{number},dark\n" for number in range(3))]
)
def test_a_table_that_may_be_about_the_pictures_comes_first(tmp_path: Path, table: str):
    folder(tmp_path, 3)
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
    assert picture_folders.read(tmp_path, []) is None


def test_one_folder_of_pictures_has_no_classes(tmp_path: Path, image: recipes.Recipe):
    folder(tmp_path, 2)
    for source in ("dark", "dark/000.png"):
        with pytest.raises(DataError) as raised:
            load_table(image, DataConfig(source=str(tmp_path / source)))
        assert "a folder for each class" in raised.value.fix


def test_a_bomb_inside_an_icon_is_not_decoded(tmp_path: Path):
    inner = io.BytesIO()
    Image.new("1", (3000, 3000)).save(inner, "PNG")
    head = struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 1, len(inner.getvalue()), 22)
    found = pictures.look({"bytes": head + inner.getvalue(), "path": None}, 1_000_000)
    assert found.problem == "has 9,000,000 pixels, more than data.max_pixels (1,000,000)"


def test_a_table_names_the_files(tmp_path: Path, image: recipes.Recipe):
    folder(tmp_path / "all", 6)
    lines = [f"{name}/{number:03}.png,{name},{number % 3}" for name in ("dark", "light") for number in range(6)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,patient", *lines]), encoding="utf-8")
    for source in (tmp_path, tmp_path / "labels.csv"):
        table = load_table(image, DataConfig(source=str(source)))
        assert table.labels == ("dark", "light")
        assert table.parts["all"]["patient"].to_pylist()[:3] == ["0", "1", "2"]
        assert table.notes == ("Columns: image is `file`.",)


def test_bad_files_are_left_out_and_each_is_named(tmp_path: Path, image: recipes.Recipe):
    folder(tmp_path, 40)
    good, bad = hostile(tmp_path / "dark", 60)
    table = load_table(image, DataConfig(source=str(tmp_path), max_pixels=1_000_000))
    assert table.parts["all"].num_rows == 80 + good
    assert table.counts["unreadable"] == len(table.unreadable) == bad
    (note,) = [note for note in table.notes if "could not be read" in note]
    assert note.startswith(f"{bad} of 140 pictures could not be read and were left out: dark/0")
    assert f"and {bad - 5} more" in note
    assert all(one["file"].startswith("dark/") and one["reason"] for one in table.unreadable)


def test_a_folder_of_nothing_good_is_refused(tmp_path: Path, image: recipes.Recipe):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match="2 of 2 pictures cannot be read: a/1"):
        load_table(image, DataConfig(source=str(tmp_path)))


def test_the_same_picture_on_both_sides_is_found(tmp_path: Path, image: recipes.Recipe):
    folder(tmp_path, 8, parts=("train", "test"))
    with Image.open(tmp_path / "test" / "dark" / "003.png") as one:
        one.save(tmp_path / "train" / "dark" / "copy.png", compress_level=1)
    splits = load_splits(image, DataConfig(source=str(tmp_path)), 7)
    assert splits.facts["counts"]["train_in_held_out"] == 1
    assert splits.train.num_rows + splits.validation.num_rows == 16


def test_links_to_folders_are_followed_once(tmp_path: Path):
    folder(tmp_path / "data", 2)
    folder(tmp_path / "other", 1)
    (tmp_path / "data" / "dark" / "more").symlink_to(tmp_path / "other" / "dark")
    (tmp_path / "data" / "dark" / "again").symlink_to(tmp_path / "data" / "dark")
    (tmp_path / "data" / "__MACOSX").mkdir()
    (tmp_path / "data" / "__MACOSX" / "._000.png").touch()
    (table,) = picture_folders.read(tmp_path / "data", []).values()
    assert table["_file"].to_pylist() == [
        "dark/000.png",
        "dark/001.png",
        "dark/more/000.png",
        "light/000.png",
        "light/001.png",
    ]
