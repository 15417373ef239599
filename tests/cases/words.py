"""Words without tokens."""

import json
from itertools import permutations
from pathlib import Path

from tests.support import checkpoints
from tests.support.cli import several
from toolkit import sources


def case_words_without_pieces(folder: Path) -> None:
    """Every word has a label, in predictions and in figures; it is O for words beyond the maximum length."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    tiny = sources.package_path(checkpoints.TINY.removeprefix("pkg://"))
    names = {"id2label": {0: "B-PER", 1: "O"}, "label2id": {"B-PER": 0, "O": 1}}
    model = AutoModelForTokenClassification.from_pretrained(tiny, **names)
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor([100.0, 0.0]))  # every word is a person
    model.save_pretrained(folder / "model")
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder / "model")
    rows = [
        {"tokens": ["Ada", odd, "Bert", "", "Carla"], "ner_tags": ["B-PER", "O", "B-PER", "O", "B-PER"]}
        for odd in ("\u200b", "\u00ad", "\ufe0f")
    ]
    (folder / "data.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    outcomes = several(
        [
            ("predict", "model", "--input", "data.jsonl", "--output", "said.jsonl"),
            ("evaluate", "model", "--data", "data.jsonl", "--output", "judged", "--set", "evaluation.resamples=100"),
        ],
        cwd=folder,
    )
    assert [item.code for item in outcomes] == [0, 0], [item.text for item in outcomes]
    for line in (folder / "said.jsonl").read_text(encoding="utf-8").splitlines():
        assert json.loads(line)["prediction"] == ["B-PER", "O", "B-PER", "O", "B-PER"]
    report = json.loads((folder / "judged" / "report.json").read_text(encoding="utf-8"))
    assert report["evaluation"]["metrics"][0]["value"] == 1.0


def case_script_that_the_vocabulary_does_not_know(folder: Path) -> None:
    """Unknown tokens and a model that knows the script are named by inspect, before training, and in the report."""
    words = {"negative": ["ፊልሙ", "አሰልቺ", "ደካማ", "መጥፎ"], "positive": ["ጥሩ", "ታሪኩ", "ወደድኩት", "ድንቅ"]}
    lines = [f"{' '.join(row)},{label}" for label, known in words.items() for row in permutations(known)]
    (folder / "data.csv").write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    model = ("--model", checkpoints.TINY)
    outcomes = several(
        [
            ("inspect", "data.csv", *model),
            ("finetune", "sentiment", *model, "--data", "data.csv", "--epochs", "1", "--output", "run",
             "--set", "evaluation.resamples=100", "--set", "evaluation.baselines=false"),
        ],
        cwd=folder,
    )  # fmt: skip
    assert [item.code for item in outcomes] == [0, 0], [item.text for item in outcomes]
    report = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    for text in (outcomes[0].text, outcomes[1].text, " ".join(report["verdict"]["warnings"])):
        plain = " ".join(text.split())
        assert "% of the tokens are unknown to the model" in plain
        assert "Ethiopic" in plain
        assert "FacebookAI/xlm-roberta-base" in plain
