"""Archives: the content is read as if unpacked, and nothing is written outside the folder."""

import stat
import zipfile

import pytest

from tests.support.errors import refused
from toolkit.data.formats import text_decoding
from toolkit.data.images import image_folders
from toolkit.data.sources import zip_archives
from toolkit.data.sources.local_files import read
from toolkit.data.sources.zip_archives import unpacked
from toolkit.errors import DataError


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        for name, content in members.items():
            stream.writestr(name, content)
    return path


def fault(identifier, path):
    with refused(DataError, identifier) as caught:
        unpacked(path)
    return caught.value.problem


def test_a_table_in_an_archive(tmp_path):
    path = archive(tmp_path / "a.zip", {"a.csv": "text,label\ngood,1\n", "__MACOSX/._a.csv": "x", ".DS_Store": "x"})
    (table,) = read(path).parts.values()
    assert table.to_pylist() == [{"text": "good", "label": "1", "_file": "a.csv", "_row": 2}]


def test_folders_of_classes_in_an_archive(tmp_path):
    members = {f"texts/{label}/{n}.txt": f"{label} {n}" for label in ("pos", "neg") for n in range(2)}
    (table,) = read(archive(tmp_path / "a.zip", {**members, "__MACOSX/texts/pos/._0.txt": "x"})).parts.values()
    assert table["label"].to_pylist() == ["neg", "neg", "pos", "pos"]
    assert table["_file"].to_pylist()[0] == "texts/neg/0.txt"
    pictures = {f"{label}/{n}.png": b"\x89PNG" for label in ("cat", "dog") for n in range(2)}
    found = image_folders.read(archive(tmp_path / "b.zip", pictures)).parts
    assert found["all"]["label"].to_pylist() == ["cat", "cat", "dog", "dog"]


def test_an_archive_is_unpacked_once(tmp_path):
    path = archive(tmp_path / "a.zip", {"a.csv": "text\ngood\n"})
    folder = unpacked(path)
    assert unpacked(path) == folder
    assert unpacked(folder) == folder
    archive(path, {"b.csv": "text\ngood and better\n"})
    assert [file.name for file in unpacked(path).iterdir()] == ["b.csv"]


@pytest.mark.parametrize("name", ["../evil.csv", "/evil.csv", "a/../../evil.csv", "..\\evil.csv", "C:\\evil.csv"])
def test_nothing_is_written_outside(tmp_path, name):
    path = archive(tmp_path / "a.zip", {"good.csv": "text\ngood\n", name: "text\nbad\n"})
    assert "outside of its folder" in fault("data.unsafe-archive", path)
    assert not list(tmp_path.rglob("evil.csv"))


def test_links_are_passed_over(tmp_path):
    path = archive(tmp_path / "a.zip", {"a.csv": "text\ngood\n"})
    link = zipfile.ZipInfo("b.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as stream:
        stream.writestr(link, "/etc/passwd")
    assert [file.name for file in unpacked(path).iterdir()] == ["a.csv"]


@pytest.mark.parametrize(("honest", "identifier"), [(True, "data.too-large"), (False, "data.damaged-file")])
def test_an_archive_that_unpacks_to_far_too_much(tmp_path, monkeypatch, honest, identifier):
    path = archive(tmp_path / "a.zip", {"a.csv": "x" * 3_000_000})
    monkeypatch.setattr(text_decoding, "_HARMLESS", 1_000_000)
    monkeypatch.setattr(text_decoding, "_RATIO", 2)
    if not honest:
        size = (3_000_000).to_bytes(4, "little")
        path.write_bytes(path.read_bytes().replace(size, (1000).to_bytes(4, "little")))
        monkeypatch.setattr(zip_archives, "most_unpacked", lambda _path: 2000)
    assert str(path) in fault(identifier, path)


def test_damage_and_what_cannot_be_written(tmp_path):
    path = archive(tmp_path / "a.zip", {"a.csv": "text\ngood\n" * 100})
    path.write_bytes(path.read_bytes()[:-30])
    assert "truncated" in fault("data.damaged-file", path)
    assert "two files named" in fault(
        "data.unsupported-archive", archive(tmp_path / "b.zip", {"a.csv": "1", "./a.csv": "2"})
    )
    assert "cannot be unpacked" in fault("data.damaged-file", archive(tmp_path / "c.zip", {"a": "1", "a/b.csv": "2"}))
    assert "cannot be unpacked" in fault("data.damaged-file", archive(tmp_path / "d.zip", {"x" * 300: "1"}))
    assert "holds no files" in fault("data.no-rows", archive(tmp_path / "e.zip", {"__MACOSX/a.csv": "1"}))


def test_zip_names_without_encoding(tmp_path):
    path = archive(tmp_path / "a.zip", {"cafe!/1.txt": "one", "pub/1.txt": "two"})
    path.write_bytes(path.read_bytes().replace(b"cafe!", "café".encode()))  # the flag of UTF-8 stays unset
    (table,) = read(path).parts.values()
    assert table["label"].to_pylist() == ["café", "pub"]


def test_messages_name_the_archive_and_not_the_folder_it_was_unpacked_into(tmp_path):
    path = archive(tmp_path / "two.zip", {"a.csv": "text,label\ngood,1\n", "b.csv": "text,label\ngood,1\n"})
    with refused(DataError, "source.ambiguous") as caught:
        read(path)
    assert caught.value.problem.startswith(f"{path} holds 2 data files")
    assert caught.value.fix.startswith("Unpack two.zip first. Name one of them, such as ")
    assert str(tmp_path / "two" / "a.csv") in caught.value.fix


def test_parts_of_lines_in_a_folder_of_an_archive(tmp_path):
    lines = {f"ft/{part}.txt": "__label__good a film\n__label__bad another\n" for part in ("train", "test")}
    parts = read(archive(tmp_path / "ft.zip", lines)).parts
    assert {part: table["label"].to_pylist() for part, table in parts.items()} == {
        "train": ["good", "bad"], "test": ["good", "bad"]
    }  # fmt: skip
