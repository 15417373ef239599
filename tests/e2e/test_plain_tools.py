"""A saved model in transformers predicts as `toolkit predict` does; a test for each family."""

import ast
import contextlib
import csv
import importlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.support import bitext, checkpoints, planted, vision
from toolkit.report.pages import usage

exporting = importlib.import_module("toolkit.commands.export")  # the package's attributes are the functions
predicting = importlib.import_module("toolkit.commands.predict.run")
SOURCES = ("one cat sees two dog", "three red house and blue tree not", "six dog loves")
BUILD = {
    "t5": bitext.t5,
    "flan": bitext.flan,
    "marian": bitext.marian,
    **{
        name: lambda folder, family=name: bitext.multilingual(folder, family)
        for name in ("mbart", "mbart50", "m2m100", "nllb")
    },
}


def exported(model: Path, recipe: str, values: dict[str, Any], folder: Path) -> Path:
    """Export a checkpoint as it is, for `from_pretrained`."""
    arguments = {"form": "safetensors", "output": str(folder), "recipe_name": recipe, "rows": 2}
    exporting.export(target=str(model), values=values, observe=lambda event: None, **arguments)
    return folder


def predicted(model: Path, source: Path) -> list[dict[str, str]]:
    """Return the rows that `toolkit predict` writes."""
    output = source.with_name("predicted.csv")
    output.unlink(missing_ok=True)
    predicting.predict(str(model), str(source), output, {}, None, lambda event: None)
    with output.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def said(code: str, **replaced: str) -> str:
    """Run the program of a model card, with other examples in it, and return what it prints."""
    for before, after in replaced.items():
        code = code.replace(getattr(usage, before), after)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(code, {})
    return printed.getvalue().strip()


def sharpened(folder: Path) -> Path:
    """Make random weights larger, so that no two tokens are nearly as likely."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights = {name: 4 * tensor if tensor.ndim == 2 else tensor for name, tensor in weights.items()}
    if "model.shared.weight" in weights:  # what is written are pieces of words, and not marks of languages
        weights["model.shared.weight"][:4] = weights["model.shared.weight"][30:] = 0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("family", BUILD)
def test_translations(family: str, tmp_path: Path) -> None:
    model = sharpened(BUILD[family](tmp_path / "checkpoints" / "own"))
    bitext.tsv(tmp_path / "toy.tsv", bitext.pairs(4))
    (tmp_path / "in.txt").write_text("".join(f"{source}\n" for source in SOURCES), encoding="utf-8")
    options = {"source": "en", "target": "de", "beams": 2}
    values = {"data": {"source": str(tmp_path / "toy.tsv"), "max_length": 32}, "options": options}
    folder = exported(model, "translation", values, tmp_path / "out")
    rows = predicted(folder, tmp_path / "in.txt")
    config, generation, tokenizer = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("config.json", "generation_config.json", "tokenizer_config.json")
    )
    before = {"t5": "translate English to German: ", "flan": "translate English to German: "}.get(family, "")
    assert config.get("prefix", "") == before
    assert config.get("tie_word_embeddings", True) is (family != "flan")
    assert (generation["num_beams"], generation["max_length"]) == (2, 32)
    assert "TokenizersBackend" not in tokenizer["tokenizer_class"]
    assert "extra_special_tokens" not in tokenizer  # a list there is more than transformers 4.x can read
    assert tokenizer["model_input_names"] == ["input_ids", "attention_mask"]
    forced = generation.get("forced_bos_token_id") is not None
    assert forced is (family in ("mbart50", "m2m100", "nllb"))
    code = usage.code("translation", str(folder), max_length=32, prefix=before, forced=forced)
    assert [said(code, TEXT=source) for source in SOURCES] == [row["prediction"] for row in rows]
    assert all(row["prediction"] for row in rows)
    assert len({row["prediction"] for row in rows}) > 1 or family == "nllb"


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_classes_of_texts_and_pairs(family: str, tiny_bert: Path, tiny_distilbert: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    source = tiny_bert if family == "bert" else tiny_distilbert
    torch.manual_seed(0)
    names = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}
    own = tmp_path / "own"
    AutoModelForSequenceClassification.from_pretrained(source, **names).save_pretrained(own)
    AutoTokenizer.from_pretrained(source).save_pretrained(own)
    table = checkpoints.reviews(tmp_path / "reviews.csv", 6)
    folder = exported(own, "sentiment", {"data": {"source": str(table), "max_length": 12}}, tmp_path / "out")
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert ("token_type_ids" in settings["model_input_names"]) is (family == "bert")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("text,text_pair\na wonderful film,it is dull and long\n", encoding="utf-8")
    for given in (table, pairs):
        code = usage.code("text-classification", str(folder), max_length=12, pairs=given is pairs)
        for row in predicted(folder, given):
            printed = said(code, TEXT=row["text"], **({"SECOND": row["text_pair"]} if given is pairs else {}))
            (answer,) = [ast.literal_eval(printed)] if given is pairs else ast.literal_eval(printed)
            assert answer["label"] == row["prediction"]
            assert answer["score"] == pytest.approx(float(row["score"]), abs=1e-4)


def test_labels_of_words(tiny_bert: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    torch.manual_seed(0)
    names = {"id2label": {0: "O", 1: "B-X", 2: "I-X"}, "label2id": {"O": 0, "B-X": 1, "I-X": 2}}
    own = tmp_path / "own"
    AutoModelForTokenClassification.from_pretrained(tiny_bert, **names).save_pretrained(own)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(own)
    lines = [
        {"words": ["Unwonted", "film-goers", "don't"], "labels": ["B-X", "I-X", "O"]},
        {"words": ["a", "b"], "labels": ["O", "O"]},
    ]
    (tmp_path / "words.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    values = {"data": {"source": str(tmp_path / "words.jsonl"), "max_length": 32}}
    folder = exported(own, "tokens", values, tmp_path / "out")
    code = usage.code("token-classification", str(folder), max_length=32)
    for row, line in zip(predicted(folder, tmp_path / "words.jsonl"), lines, strict=True):
        answer = ast.literal_eval(said(code, TEXT=" ".join(line["words"])))
        assert [word for word, _ in answer] == line["words"]
        assert [label for _, label in answer] == json.loads(row["prediction"])


@pytest.mark.parametrize("family", vision.configs())
def test_classes_of_pictures(family: str, tmp_path: Path) -> None:
    from transformers import AutoModelForImageClassification

    names = dict(enumerate(planted.COLOURS))
    config, processor = vision.configs()[family]
    config.id2label, config.label2id = names, {name: number for number, name in names.items()}
    config.architectures = []
    AutoModelForImageClassification.from_config(config).save_pretrained(tmp_path / "own")
    processor.save_pretrained(tmp_path / "own")
    planted.folder(tmp_path / "pictures", 2, seed=0, names=list(planted.COLOURS))
    folder = exported(tmp_path / "own", "image", {"data": {"source": str(tmp_path / "pictures")}}, tmp_path / "out")
    code = usage.code("image-classification", str(folder))
    for row in predicted(folder, tmp_path / "pictures"):
        best, *_ = ast.literal_eval(said(code, PICTURE=str(tmp_path / "pictures" / row["file"])))
        assert best["label"] == row["prediction"]
        assert best["score"] == pytest.approx(float(row["score"]), abs=1e-4)
