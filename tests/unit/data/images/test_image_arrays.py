"""Array files become tables of pictures."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.support.errors import refused
from toolkit.data.images import image_arrays, image_decoding, image_folders
from toolkit.errors import DataError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 1, 0])


def saved(path: Path, **named) -> Path:
    np.savez(path / "cells.npz", **named)
    return path / "cells.npz"


def decoded(table) -> np.ndarray:
    rows = table["image"].to_pylist()
    return np.stack([np.asarray(image_decoding.decode(row, 10_000)) for row in rows])


def idx(path: Path, array: np.ndarray) -> None:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wb") as stream:
        stream.write(head + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], np.eye(3)[LABELS]])
def test_parts_are_found_by_name(tmp_path, labels):
    file = saved(tmp_path, train_images=IMAGES, train_labels=labels, test_images=IMAGES[:2], test_labels=labels[:2],
                 val_images=IMAGES[2:], val_labels=labels[2:])  # fmt: skip
    parts = image_folders.read(file).parts
    assert {name: table.num_rows for name, table in parts.items()} == {"train": 5, "test": 2, "validation": 3}
    assert parts["train"]["label"].to_pylist() == ["0", "1", "2", "1", "0"]
    assert parts["train"]["_row"].to_pylist() == [1, 2, 3, 4, 5]
    assert len({table["_file"][0].as_py() for table in parts.values()}) == 3
    assert (decoded(parts["train"]) == IMAGES).all()


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (IMAGES[..., 0], IMAGES[..., :1].repeat(3, -1)),
        (IMAGES[..., :1], IMAGES[..., :1].repeat(3, -1)),
        (np.moveaxis(IMAGES, 3, 1), IMAGES),
        (IMAGES / 255, IMAGES),
        (IMAGES / 255 * 1.002 - 0.001, IMAGES),
        (IMAGES.astype(np.float32), IMAGES),
        (IMAGES.astype(np.int64), IMAGES),
        (IMAGES[..., 0].astype(np.uint16) * 257, IMAGES[..., :1].repeat(3, -1)),
        (IMAGES[..., 0] > 100, ((IMAGES[..., :1] > 100) * 255).repeat(3, -1)),
        (np.concatenate([IMAGES, np.zeros_like(IMAGES[..., :1])], -1), np.full_like(IMAGES, 255)),
        (np.concatenate([IMAGES, np.full_like(IMAGES[..., :1], 255)], -1), IMAGES),
    ],
)
def test_every_form_of_array_becomes_the_same_pictures(tmp_path, images, expected):
    parts = image_arrays.read_npz(saved(tmp_path, x_train=images, y_train=LABELS))
    assert (decoded(parts["train"]) == expected).all()


def test_one_part_alone(tmp_path):
    assert list(image_arrays.read_npz(saved(tmp_path, images=IMAGES, labels=LABELS))) == ["all"]


@pytest.mark.parametrize(
    ("named", "identifier", "fact"),
    [
        ({"images": IMAGES, "labels": LABELS[:3]}, "label.wrong-count", "5 pictures but 3 labels"),
        ({"images": IMAGES, "labels": np.ones((5, 3))}, "label.several-in-a-row", "(5, 3)"),
        ({"images": IMAGES[0, 0], "labels": LABELS}, "image.wrong-shape", "(N, H, W)"),
        ({"weights": IMAGES}, "image.none-found", "weights"),
        ({"images": IMAGES.astype(np.int64) - 9, "labels": LABELS}, "image.wrong-values", "int64"),
        ({"images": IMAGES / 127.5 - 1, "labels": LABELS}, "image.wrong-values", "float64, from -1"),
        ({"images": IMAGES * 257.0, "labels": LABELS}, "image.wrong-values", "0 to 1"),
        ({"images": np.where(IMAGES > 9, np.nan, 0.5), "labels": LABELS}, "image.wrong-values", "finite"),
        ({"images": IMAGES, "labels": np.array([{}] * 5)}, "data.damaged-file", "pickled"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "data.no-rows", "cells.npz"),
    ],
)
def test_what_is_refused(tmp_path, named, identifier, fact):
    with refused(DataError, identifier, fact):
        image_arrays.read_npz(saved(tmp_path, **named))


def test_a_damaged_file_is_refused(tmp_path):
    file = saved(tmp_path, images=IMAGES, labels=LABELS)
    file.write_bytes(file.read_bytes()[:100])
    with refused(DataError, "data.damaged-file", "cells.npz"):
        image_arrays.read_npz(file)


def test_idx_files(tmp_path):
    idx(tmp_path / "train-images-idx3-ubyte.gz", IMAGES[..., 0])
    idx(tmp_path / "train-labels-idx1-ubyte.gz", LABELS)
    idx(tmp_path / "t10k-images.idx3-ubyte", IMAGES[:2, ..., 0])
    idx(tmp_path / "t10k-labels.idx1-ubyte", LABELS[:2])
    parts = image_folders.read(tmp_path).parts
    assert {name: table.num_rows for name, table in parts.items()} == {"train": 5, "test": 2}
    assert (decoded(parts["train"])[..., 0] == IMAGES[..., 0]).all()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"no gzip")
    with refused(DataError, "data.damaged-file", "idx"):
        image_folders.read(tmp_path)


def test_an_idx_file_that_claims_too_much_is_refused(tmp_path):
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes(struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 4))
    with refused(DataError, "data.damaged-file", "idx"):
        image_folders.read(tmp_path)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_a_table_with_a_column_for_each_pixel(tmp_path, suffix, header, first):
    images = np.zeros((6, 5, 5), np.uint8)
    images[:, 1:-1, 1:-1] = RANDOM.integers(0, 256, (6, 3, 3))
    images[0, 2, 2] = 255
    labels = [3, 1, 2, 3, 1, 9]
    names = [f"pixel{number}" for number in range(25)]
    lines = [",".join(["label", *names] if first else [*names, "label"])] if header else []
    for image, label in zip(images, labels, strict=True):
        values = image.flatten().tolist()
        lines.append(",".join(map(str, [label, *values] if first else [*values, label])))
    opener = gzip.open if suffix.endswith(".gz") else open
    with opener(tmp_path / f"digits{suffix}", "wb") as stream:
        stream.write("\n".join(lines).encode())
    (table,) = image_folders.read(tmp_path / f"digits{suffix}").parts.values()
    assert table["label"].to_pylist() == list(map(str, labels))
    assert (decoded(table) == images[..., None]).all()


def test_few_shades_become_all_of_them(tmp_path):
    values = np.full((2, 17), 16)
    values[:, 0] = 8
    values[:, -1] = [0, 1]
    np.savetxt(tmp_path / "digits.csv", values, "%d", delimiter=",")
    (table,) = image_folders.read(tmp_path / "digits.csv").parts.values()
    assert decoded(table)[0, 0, 0].tolist() == [128, 128, 128]
    assert decoded(table)[0, 0, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("text", ["file,label\na.png,x\n", "", "1,2,3\n", f"label,{'text,' * 15}text\n", "\0\1"])
def test_other_tables_are_left_to_others(tmp_path, text):
    (tmp_path / "other.csv").write_text(text, encoding="utf-8")
    assert image_folders.read(tmp_path / "other.csv") is None


def test_damaged_pixel_table_is_rejected(tmp_path):
    (tmp_path / "digits.csv").write_text(f"label,{','.join(f'p{n}' for n in range(16))}\n1,2,x\n", encoding="utf-8")
    with refused(DataError, "data.damaged-file", "digits.csv"):
        image_folders.read(tmp_path / "digits.csv")
