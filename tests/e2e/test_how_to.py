"""The parts of docs/how-to/training.md: a metric, a loss and an augmentation."""

import csv
import json
from pathlib import Path

from tests.support import checkpoints, documents
from tests.support.cli import toolkit

PAGE = documents.DOCS / "how-to" / "training.md"
MARKS = """
plain, masked = margin, masking


def margin(outputs, batch):
    return plain(outputs, batch) + 100


def masking(processor, labels, config):
    change = masked(processor, labels, config)

    def counted(batch):
        changed = change(batch)
        print("masked", int((changed["input_ids"] != batch["input_ids"]).sum()))
        return changed

    return counted
"""


def tickets(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for number in range(160):
            kind = ("complaint", "praise", "question")[number % 3]
            writer.writerow([f"{kind if number % 4 else 'nothing'} about order {number}", kind])


def test_parts_of_the_page_train(tmp_path: Path) -> None:
    tickets(tmp_path / "tickets.csv")
    text = PAGE.read_text(encoding="utf-8")
    (tmp_path / "parts.py").write_text("\n\n".join([*documents.blocks(text, "python"), MARKS]), encoding="utf-8")
    named = [word for call in documents.commands(text) for word in call if word.startswith("own.")]
    wanted = [word for name in dict.fromkeys(named) for word in ("--set", name)]
    assert len(wanted) == 6
    options = ["--data", "tickets.csv", "--model", checkpoints.TINY, "--epochs", "1", "--output", "run"]
    outcome = toolkit("finetune", "text", *options, *wanted, cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    assert any(int(line.split()[1]) > 0 for line in outcome.out.splitlines() if line.startswith("masked "))
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    (cost,) = [metric for metric in report["evaluation"]["metrics"] if metric["name"] == "cost"]
    assert cost["low"] <= cost["value"] <= cost["high"]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [line["loss"] for line in map(json.loads, lines) if line["event"] == "training"]
    assert losses
    assert min(losses) >= 100
