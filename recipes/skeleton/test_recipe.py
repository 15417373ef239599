"""Tests of the recipe; the model has random weights, so that nothing is downloaded."""

from pathlib import Path

import toolkit

RECIPE = Path(__file__).parent / "recipe.py"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "book"]


def test_recipe_trains_and_reports_its_metric(tmp_path: Path) -> None:
    """A few steps on a small table end with a report that has the metric."""
    rows = [f"{word} {noun},{label}" for word, label in (("good", "yes"), ("bad", "no")) for noun in ("film", "book")]
    table = tmp_path / "rows.csv"
    table.write_text("\n".join(["text,label", *(f"{number} {row}" for number in range(25) for row in rows)]))
    run = toolkit.finetune(
        str(RECIPE),
        data=table,
        model=_model(tmp_path / "model"),
        epochs=1,
        output=tmp_path / "run",
        set={"training.few_labels": "off", "evaluation.resamples": 100},
        progress=False,
    )
    assert 0 <= run.metrics["cost"].value <= 5


def _model(folder: Path) -> Path:
    """Write a small BERT with random weights, and a tokenizer of a few words."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder
