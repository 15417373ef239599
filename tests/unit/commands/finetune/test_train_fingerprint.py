"""A run recognizes its training rows."""

import pyarrow as pa

from tests.support import pictures as drawn
from tests.support.errors import refused
from toolkit import runs
from toolkit.commands.finetune import train_fingerprint
from toolkit.config.settings import DataConfig
from toolkit.data.load import load_table
from toolkit.errors import SourceError
from toolkit.tasks import loading


def test_texts_are_known_again_whatever_their_label(tmp_path):
    recipe, run = loading.load("sentiment"), runs.Run(tmp_path)
    rows = pa.table({"text": ["one", "two ", "three", "née 🙂"], "label": [0, 1, 0, 1]})
    assert train_fingerprint.count(run, recipe, rows) == 0
    train_fingerprint.remember(run, recipe, rows, ())
    assert train_fingerprint.count(run, recipe, rows) == 4
    others = pa.table({"text": ["two", "four", None], "label": [0, 0, 0]})
    assert train_fingerprint.count(run, recipe, others) == 1


def test_pictures_are_known_again_in_other_files(tmp_path):
    recipe, run = loading.load("image"), runs.Run(tmp_path / "run")
    drawn.folder(tmp_path / "data", 3)
    rows = load_table(recipe, DataConfig(source=str(tmp_path / "data"))).parts["all"]
    train_fingerprint.remember(run, recipe, rows.slice(0, 4), ())
    (tmp_path / "data").rename(tmp_path / "moved")
    again = load_table(recipe, DataConfig(source=str(tmp_path / "moved"))).parts["all"]
    assert train_fingerprint.count(run, recipe, again) == 4


def test_truncated_digests_are_damage(tmp_path):
    recipe, run = loading.load("sentiment"), runs.Run(tmp_path)
    rows = pa.table({"text": ["one"], "label": [0]})
    train_fingerprint.remember(run, recipe, rows, ())
    file = tmp_path / train_fingerprint.FILE
    file.write_bytes(file.read_bytes().replace(b"(1,), }      ", b"(9999999,), }"))
    with refused(SourceError, "run.damaged", "train.npy"):
        train_fingerprint.count(run, recipe, rows)
