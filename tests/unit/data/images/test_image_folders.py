"""Which folders are folders of pictures, and how each file in them is treated."""

import io
import struct
from pathlib import Path

import pytest
from PIL import Image

from tests.support.errors import refused
from tests.support.pictures import folder, hostile, picture
from toolkit.config.settings import DataConfig
from toolkit.data.images import image_decoding, image_folders
from toolkit.data.load import load_splits, load_table
from toolkit.data.media import folders as media_folders
from toolkit.errors import DataError
from toolkit.tasks import loading
from toolkit.tasks.contract import Recipe


@pytest.fixture
def image() -> Recipe:
    return loading.load("image")


def test_a_folder_for_each_class(tmp_path: Path):
    folder(tmp_path, 2)
    (tmp_path / "dark" / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "dark" / "000.png").rename(tmp_path / "dark" / "deep" / "deeper" / "000.png")
    (tmp_path / "dark" / ".hidden.png").touch()
    (tmp_path / "dark" / "Thumbs.db").touch()
    (table,) = image_folders.read(tmp_path).parts.values()
    assert table["_file"].to_pylist() == ["dark/001.png", "dark/deep/deeper/000.png", "light/000.png", "light/001.png"]
    assert table["label"].to_pylist() == ["dark", "dark", "light", "light"]


def test_parts(tmp_path: Path):
    folder(tmp_path / "inner", 2, parts=("train", "val", "Test"))
    parts = image_folders.read(tmp_path).parts
    assert {name: table.num_rows for name, table in parts.items()} == {"train": 4, "validation": 4, "test": 4}
    assert parts["test"]["label"].to_pylist() == ["dark", "dark", "light", "light"]


def test_what_is_no_folder_of_pictures_is_left_to_others(tmp_path: Path):
    assert image_folders.read(tmp_path) is None
    folder(tmp_path, 1)
    (tmp_path / "labels.csv").write_text("file,label\n", encoding="utf-8")
    assert image_folders.read(tmp_path) is None
    assert image_folders.read(tmp_path / "labels.csv") is None
    texts = tmp_path / "texts"
    for label in ("a", "b"):
        (texts / label).mkdir(parents=True)
        (texts / label / "1.txt").write_text("x", encoding="utf-8")
    assert image_folders.read(texts) is None


def test_files_outside_classes_are_noted(tmp_path: Path):
    folder(tmp_path, 3)
    (tmp_path / "none").mkdir()
    (tmp_path / "light" / "000.png").rename(tmp_path / "stray.png")
    (tmp_path / "info.json").write_text('[{"author": "somebody"}]', encoding="utf-8")
    found = image_folders.read(tmp_path)
    (table,), notes = found.parts.values(), found.notes
    assert table.num_rows == 5
    assert len(notes) == 3
    assert all(name in note for name, note in zip(("info.json", "none", "stray.png"), notes, strict=True))


def test_files_outside_parts_are_noted(tmp_path: Path):
    folder(tmp_path, 3, parts=("train", "holdout"))
    folder(tmp_path / "papers" / "deep", 0)
    found = image_folders.read(tmp_path)
    assert set(found.parts) == {"train"}
    (note,) = found.notes
    assert note.startswith("holdout is ignored, with 6 pictures:")


def loose(path: Path, names: dict[str, str]) -> None:
    """Write pictures whose folder is a part: name → class."""
    path.mkdir(parents=True)
    for seed, (name, label) in enumerate(names.items()):
        picture(label == "light", seed=seed).save(path / name)


def test_parts_are_never_classes(tmp_path: Path, image: Recipe):
    loose(tmp_path / "train", {f"{label}.{n}.png": label for label in ("dark", "light") for n in range(9)})
    loose(tmp_path / "test", {f"{n}.png": "dark" for n in range(4)})
    with refused(DataError, "media.no-class-folders", "test, train") as caught:
        load_table(image, DataConfig(source=str(tmp_path)))
    assert "dark (9), light (9)" in caught.value.fix
    assert "options.class_from_name=true" in caught.value.fix
    splits = load_splits(image, DataConfig(source=str(tmp_path)), 0, {"class_from_name": True})
    assert splits.labels == ("dark", "light")
    assert sum(part["rows"] for part in splits.facts["splits"]) == 18
    assert any("test part has no labels" in note for note in splits.facts["notes"])


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat.0.jpg", "cat"), ("great_pyrenees_12.jpg", "great_pyrenees"), ("cat (3).jpg", "cat"), ("cat7.jpg", "cat"),
        ("12.jpg", None), ("IMG_2013_0001.jpg", None), ("P1_03.jpg", None), ("cat.jpg", None),
    ],
)  # fmt: skip
def test_the_class_in_a_name(name: str, label: str | None):
    assert media_folders._class_of(Path(name)) == label


def test_names_that_hold_no_classes_are_refused(tmp_path: Path):
    loose(tmp_path / "train", {f"IMG_{n:03}.png": "dark" for n in range(9)})
    with refused(DataError, "media.no-classes-in-names", "options.class_from_name"):
        image_folders.read(tmp_path, class_from_name=True)


@pytest.mark.parametrize("ending", ["", ".png"])
def test_a_table_names_pictures_in_a_part_by_their_names_without_endings(tmp_path: Path, image: Recipe, ending: str):
    names = {f"{n:02}a": ("dark", "light")[n % 2] for n in range(20)}
    loose(tmp_path / "train", {f"{name}.png": label for name, label in names.items()})
    loose(tmp_path / "test", {f"{n}b.png": "dark" for n in range(30)})
    lines = [f"{name}{ending},{label}" for name, label in names.items()]
    (tmp_path / "labels.csv").write_text("\n".join(["id,breed", *lines]), encoding="utf-8")
    table = load_table(image, DataConfig(source=str(tmp_path), columns={"label": "breed"}))
    assert table.labels == ("dark", "light")
    assert table.parts["all"].num_rows == 20


def test_folders_named_training_and_testing_are_parts(tmp_path: Path):
    folder(tmp_path, 3, parts=("Training", "Testing"))
    parts = image_folders.read(tmp_path).parts
    assert {name: set(table["label"].to_pylist()) for name, table in parts.items()} == {
        "train": {"dark", "light"}, "test": {"dark", "light"}
    }  # fmt: skip


def test_a_test_part_without_classes_and_its_table_are_passed_over(tmp_path: Path):
    folder(tmp_path, 3, parts=("train",))
    loose(tmp_path / "test", {f"x{n}.png": "dark" for n in range(4)})
    (tmp_path / "sample_submission.csv").write_text("file,label\nx0.png,dark\nx1.png,dark\n", encoding="utf-8")
    found = image_folders.read(tmp_path)
    assert set(found.parts) == {"train"}
    assert any(note.startswith("test is ignored: its 4 pictures") for note in found.notes)
    assert any(note.startswith("sample_submission.csv is ignored") for note in found.notes)


def test_a_class_may_be_called_test(tmp_path: Path):
    folder(tmp_path, 2)
    (tmp_path / "light").rename(tmp_path / "test")
    (table,) = image_folders.read(tmp_path).parts.values()
    assert set(table["label"].to_pylist()) == {"dark", "test"}


def test_folders_that_hold_the_same_folders_are_remarked(tmp_path: Path):
    folder(tmp_path, 2, parts=("site one", "site two"))
    notes = image_folders.read(tmp_path).notes
    assert any("each folder holds the folders dark, light" in note for note in notes)


def test_linked_folders_are_followed_and_circles_are_not(tmp_path: Path):
    folder(tmp_path / "data", 2)
    folder(tmp_path / "more", 3)
    (tmp_path / "data" / "dark" / "more").symlink_to(tmp_path / "more" / "dark")
    (tmp_path / "data" / "dark" / "back").symlink_to(tmp_path / "data")
    (table,) = image_folders.read(tmp_path / "data").parts.values()
    assert table["label"].to_pylist().count("dark") == 5


@pytest.mark.parametrize(
    "table", ["file,kind\n000.png,dark\n", "id,kind\n" + "".join(f"{number},dark\n" for number in range(3))]
)
def test_a_table_that_may_be_about_the_pictures_comes_first(tmp_path: Path, table: str):
    folder(tmp_path, 3)
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
    assert image_folders.read(tmp_path) is None


def test_one_folder_of_pictures_has_no_classes(tmp_path: Path, image: Recipe):
    folder(tmp_path, 2)
    for source, identifier in (("dark", "source.no-data-in-folder"), ("dark/000.png", "data.unknown-format")):
        with refused(DataError, identifier, "a folder for each class"):
            load_table(image, DataConfig(source=str(tmp_path / source)))


def test_a_bomb_inside_an_icon_is_not_decoded(tmp_path: Path):
    inner = io.BytesIO()
    Image.new("1", (3000, 3000)).save(inner, "PNG")
    head = struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 1, len(inner.getvalue()), 22)
    found = image_decoding.inspect({"bytes": head + inner.getvalue(), "path": None}, 1_000_000)
    assert found.problem == "has 9,000,000 pixels, more than data.max_pixels (1,000,000)"


def test_a_table_names_the_files(tmp_path: Path, image: Recipe):
    folder(tmp_path / "all", 6)
    lines = [f"{name}/{number:03}.png,{name},{number % 3}" for name in ("dark", "light") for number in range(6)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,patient", *lines]), encoding="utf-8")
    for source in (tmp_path, tmp_path / "labels.csv"):
        table = load_table(image, DataConfig(source=str(source)))
        assert table.labels == ("dark", "light")
        assert table.parts["all"]["patient"].to_pylist()[:3] == ["0", "1", "2"]
        assert table.notes == ("Columns: image is `file`.",)


def test_bad_files_are_left_out_and_each_is_named(tmp_path: Path, image: Recipe):
    folder(tmp_path, 40)
    good, bad = hostile(tmp_path / "dark", 60)
    table = load_table(image, DataConfig(source=str(tmp_path), max_pixels=1_000_000))
    assert table.parts["all"].num_rows == 80 + good
    assert table.counts["unreadable"] == len(table.unreadable) == bad
    (note,) = [note for note in table.notes if "could not be read" in note]
    assert note.startswith(f"{bad} of 140 pictures could not be read and were left out: dark/0")
    assert f"and {bad - 5} more" in note
    assert all(item["file"].startswith("dark/") and item["reason"] for item in table.unreadable)


def test_a_folder_of_nothing_good_is_refused(tmp_path: Path, image: Recipe):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.jpg").write_bytes(b"no picture")
    with refused(DataError, "media.unreadable", "2 of 2", "a/1"):
        load_table(image, DataConfig(source=str(tmp_path)))


def test_the_same_picture_on_both_sides_is_found(tmp_path: Path, image: Recipe):
    folder(tmp_path, 8, parts=("train", "test"))
    with Image.open(tmp_path / "test" / "dark" / "003.png") as item:
        item.save(tmp_path / "train" / "dark" / "copy.png", compress_level=1)
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
    (table,) = image_folders.read(tmp_path / "data").parts.values()
    assert table["_file"].to_pylist() == [
        "dark/000.png",
        "dark/001.png",
        "dark/more/000.png",
        "light/000.png",
        "light/001.png",
    ]


def test_the_form_of_an_answer_is_no_table_of_pictures(tmp_path: Path, image: Recipe):
    loose(tmp_path / "train", {f"{label}.{n}.png": label for label in ("dark", "light") for n in range(5)})
    loose(tmp_path / "test", {f"{n}.png": "dark" for n in range(4)})
    lines = ["id,label", *(f"{n},0.5" for n in range(4))]
    (tmp_path / "sample_submission.csv").write_text("\n".join(lines), encoding="utf-8")
    for source in (tmp_path, tmp_path / "train"):
        with refused(DataError, "media.no-class-folders") as raised:
            load_table(image, DataConfig(source=str(source)))
        assert raised.value.fix.endswith("add --set options.class_from_name=true.")
