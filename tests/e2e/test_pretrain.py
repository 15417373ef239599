"""Texts without labels, through the real command line."""

import json
from pathlib import Path

from tests.support import checkpoints
from tests.support.cli import toolkit


def test_pretraining_writes_a_checkpoint_to_fine_tune(tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 200)
    lines = [line.rpartition(",")[0] for line in table.read_text(encoding="utf-8").splitlines()]
    (tmp_path / "texts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")  # no labels
    outcome = toolkit(
        "pretrain", "--model", checkpoints.TINY, "--data", "texts.csv", "--output", "domain", "--epochs", "2",
        "--batch-size", "16", cwd=tmp_path,
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    facts = json.loads((tmp_path / "domain" / "pretraining.json").read_text(encoding="utf-8"))
    assert facts["perplexity"] < facts["perplexity_before"]
    assert (facts["texts"], facts["held_out_texts"]) == (190, 10)
    assert facts["training"]["steps"] == 24
    tuned = toolkit(
        "finetune", "sentiment", "--model", "domain", "--data", "reviews.csv", "--output", "run", "--epochs", "1",
        "--set", "evaluation.baselines=false", cwd=tmp_path,
    )  # fmt: skip
    assert tuned.code == 0, tuned.text


def test_a_table_with_few_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text\none line\nand another\n", encoding="utf-8")
    outcome = toolkit("pretrain", "--model", checkpoints.TINY, "--data", "texts.csv", "--output", "o", cwd=tmp_path)
    assert outcome.code == 2
    assert "[data.too-few-rows]" in outcome.err
    assert not (tmp_path / "o").exists()
