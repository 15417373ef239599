"""A run recognizes its training rows."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tests.support import pictures as drawn
from tests.support.errors import refused
from toolkit import runs
from toolkit.commands.finetune import train_fingerprint
from toolkit.config.settings import DataConfig
from toolkit.data.images.image_columns import TYPE
from toolkit.data.load import load_table
from toolkit.errors import SourceError
from toolkit.evaluation.checks import repeated_rows
from toolkit.tasks import loading


def test_texts_are_known_again_whatever_their_label(tmp_path):
    recipe, run = loading.load("sentiment"), runs.Run(tmp_path)
    rows = pa.table({"text": ["one", "two ", "three", "née 🙂"], "label": [0, 1, 0, 1]})
    assert train_fingerprint.known(run, recipe, rows) == set()
    train_fingerprint.remember(run, recipe, rows, ())
    assert train_fingerprint.known(run, recipe, rows) == {0, 1, 2, 3}
    others = pa.table({"text": ["two", "four", None], "label": [0, 0, 0]})
    assert train_fingerprint.known(run, recipe, others) == {0}


def test_pictures_are_known_again_in_other_files(tmp_path):
    recipe, run = loading.load("image"), runs.Run(tmp_path / "run")
    drawn.folder(tmp_path / "data", 3)
    rows = load_table(recipe, DataConfig(source=str(tmp_path / "data"))).parts["all"]
    train_fingerprint.remember(run, recipe, rows.slice(0, 4), ())
    (tmp_path / "data").rename(tmp_path / "moved")
    again = load_table(recipe, DataConfig(source=str(tmp_path / "moved"))).parts["all"]
    assert len(train_fingerprint.known(run, recipe, again)) == 4


def test_truncated_digests_are_damage(tmp_path):
    recipe, run = loading.load("sentiment"), runs.Run(tmp_path)
    rows = pa.table({"text": ["one"], "label": [0]})
    train_fingerprint.remember(run, recipe, rows, ())
    file = tmp_path / train_fingerprint.FILE
    file.write_bytes(file.read_bytes().replace(b"(1,), }      ", b"(9999999,), }"))
    with refused(SourceError, "run.damaged", "train.npy"):
        train_fingerprint.known(run, recipe, rows)


LEARNED = [
    f"the {word} of the {other} was quite unlike the first" for word in ("score", "plot") for other in "abcdefgh"
]


def test_changed_copies_are_recognised_by_the_summary(tmp_path):
    recipe, run = loading.load("sentiment"), runs.Run(tmp_path)
    learned = ["a tender and moving portrait of two brothers", "the jokes fall flat from the first scene", *LEARNED]
    rows = pa.table({"text": learned, "label": [1, 0, *[0] * len(LEARNED)], "_row": list(range(2, 2 + len(learned)))})
    others = pa.table(
        {
            "text": ["something new that nobody has seen", "A tender and moving portrait of two SISTERS!"],
            "label": [0, 1],
        }
    )
    assert train_fingerprint.nearly_known(run, recipe, others) is None
    search = repeated_rows.find(recipe, rows, others, ("negative", "positive"))
    train_fingerprint.keep_summary(run, search.summary)
    found = train_fingerprint.nearly_known(run, recipe, others)
    assert [(pair["position"], pair["train"]["label"], pair["train"]["row"]) for pair in found] == [(1, "positive", 2)]
    assert [pair["position"] for pair in search.pairs] == [1]
    assert train_fingerprint.known(run, recipe, others) == set()


def test_resized_pictures_are_recognised_by_the_summary(tmp_path):
    recipe, run = loading.load("image"), runs.Run(tmp_path / "run")
    noise = np.random.default_rng(0).integers(0, 255, (20, 12, 12, 3), dtype=np.uint8)
    pictures = [Image.fromarray(values).resize((48, 48), Image.Resampling.BICUBIC) for values in noise]

    def rows(images):
        encoded = pa.array([{"bytes": drawn.encoded(image, "PNG")} for image in images], TYPE)
        return pa.table({"image": encoded, "label": [0] * len(images)})

    search = repeated_rows.find(recipe, rows(pictures[:12]), rows(pictures[12:]), ("a", "b"))
    assert search.pairs == []
    train_fingerprint.keep_summary(run, search.summary)
    found = train_fingerprint.nearly_known(run, recipe, rows([pictures[15], pictures[3].resize((90, 70))]))
    assert [pair["position"] for pair in found] == [1]


@pytest.mark.parametrize(
    "forged",
    [
        pa.table({"text": ["one"], "label": ["a"]}),
        pa.table({"text": pa.array([[7]], pa.list_(pa.uint32())), "label": ["a"]}).replace_schema_metadata(
            {b"one piece in": b"0"}
        ),
    ],
)
def test_a_forged_summary_is_damage(tmp_path, forged):
    recipe, run = loading.load("sentiment"), runs.Run(tmp_path)
    train_fingerprint.keep_summary(run, forged)
    with refused(SourceError, "run.damaged", "train_summary.parquet"):
        train_fingerprint.nearly_known(run, recipe, pa.table({"text": ["one two three"], "label": [0]}))
