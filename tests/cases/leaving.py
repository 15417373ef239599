"""Exported models and predictions: other programs read them as the toolkit does."""

import datetime
import json
from pathlib import Path

from tests.support import bitext, checkpoints
from tests.support.cli import several


def case_words_leave_as_one_onnx_file_and_parquet_keeps_types(folder: Path) -> None:
    """A tokens run is exported, model.onnx is one file, and Parquet columns keep their types."""
    import onnxruntime
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"words": ["Ann", verb, "home", str(day)], "labels": ["B-PER", "O", "O", "O"]}
        for day in range(20)
        for verb in ("goes", "ran")
    ]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    given = pa.table(
        {
            "words": [["Ann", "ran"], ["home"]],
            "day": [datetime.date(2020, 1, 2)] * 2,
            "kind": pa.array(["a", "b"]).dictionary_encode(),
        }
    )
    pq.write_table(given, folder / "in.parquet")
    training = ("finetune", "tokens", "--model", checkpoints.TINY, "--data", "rows.jsonl", "--epochs", "1")
    commands = [
        (*training, "--set", "evaluation.checks=[]", "--output", "run"),
        ("export", "run", "--to", "onnx"),
        ("predict", "run", "--input", "in.parquet", "--output", "out.parquet"),
    ]
    outcomes = several(commands, folder)
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], outcomes[-1].text
    (folder / "run" / "exports" / "onnx" / "onnx" / "model.onnx.data").unlink()  # empty: the graph needs no second file
    session = onnxruntime.InferenceSession(folder / "run" / "exports" / "onnx" / "onnx" / "model.onnx")
    assert [output.name for output in session.get_outputs()] == ["logits"]
    table = pq.read_table(folder / "out.parquet")
    assert table.select(given.column_names).equals(given)
    assert table.schema.field("prediction").type == pa.list_(pa.string())


def case_flan_t5_says_that_its_output_layer_is_its_own(folder: Path) -> None:
    """A saved FLAN-T5 has tie_word_embeddings: false, its prefix, and a tokenizer that transformers 4.x knows."""
    bitext.flan(folder / "flan")
    bitext.tsv(folder / "toy.tsv", bitext.pairs(4))
    command = ("export", "flan", "--to", "safetensors", "--data", "toy.tsv", "--output", "out")
    options = ("--recipe", "translation", "--set", "options.source=en", "--set", "options.target=de")
    (outcome,) = several([(*command, *options)], folder)
    assert outcome.code == 0, outcome.text
    config = json.loads((folder / "out" / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((folder / "out" / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert config["tie_word_embeddings"] is False
    assert config["prefix"] == "translate English to German: "
    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
