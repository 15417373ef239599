"""Which rows an export predicts, and which it is calibrated on."""

import importlib
from types import SimpleNamespace

import pyarrow as pa

from tests.support.errors import refused
from toolkit import runs
from toolkit.errors import DataError

exporting = importlib.import_module("toolkit.commands.export")  # the package's attribute is the function


def subject(rows, run=None, own=False):
    config = SimpleNamespace(training=SimpleNamespace(seed=0))
    table = pa.table({"text": [str(number) for number in range(rows)]})
    split = "held-out test" if own else "given"
    return SimpleNamespace(config=config, rows=table, run=run, own=own, split=split)


def test_a_table_of_its_own_is_shared_between_calibration_and_judgement():
    measured, held_back = exporting._parted(subject(30), "onnx-int8", 10)
    assert (measured.num_rows, held_back.rows.num_rows, held_back.source) == (10, 20, "given")
    assert not set(measured["text"].to_pylist()) & set(held_back.rows["text"].to_pylist())
    with refused(DataError, "data.too-few-rows", "2 rows"):
        exporting._parted(subject(4), "onnx-int8", 10)
    assert exporting._parted(subject(30), "onnx", 10)[1] is None


def test_a_run_has_validation_rows_for_its_own_rows_alone(tmp_path):
    run = runs.Run(tmp_path)
    runs.write_table(run.path / "data" / "validation.parquet", pa.table({"text": ["a"] * 5}))
    _, held_back = exporting._parted(subject(30, run, own=True), "onnx-int8", 10)
    assert (held_back.source, held_back.rows.num_rows) == ("validation", 5)
    _, held_back = exporting._parted(subject(30, run), "onnx-int8", 10)
    assert (held_back.source, held_back.rows.num_rows) == ("given", 20)
