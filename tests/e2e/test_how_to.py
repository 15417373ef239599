"""The recipe that docs/how-to/training.md assembles: a metric, a loss and an augmentation of its own."""

import csv
import json
import re
from pathlib import Path

from tests.support import checkpoints, documents
from tests.support.cli import several

PAGE = documents.DOCS / "how-to" / "training.md"


def tickets(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for number in range(160):
            kind = ("complaint", "praise", "question")[number % 3]
            writer.writerow([f"{kind if number % 4 else 'nothing'} about order {number}", kind])


def test_recipe_of_the_page_trains(tmp_path: Path) -> None:
    tickets(tmp_path / "tickets.csv")
    assert several([["recipes", "copy", "text", "my_recipe.py"]], tmp_path)[0].code == 0
    metric, loss, augmentation = documents.blocks(PAGE.read_text(encoding="utf-8"), "python")
    marked, number = re.subn(r"(multi_margin_loss\(.*?\))$", r"\1 + 100", loss, flags=re.MULTILINE)
    assert number == 1
    copy = (tmp_path / "my_recipe.py").read_text(encoding="utf-8")
    (tmp_path / "plain.py").write_text("\n\n".join([copy, metric, marked]), encoding="utf-8")
    counted = augmentation.replace("    def change(batch):\n", "    def change(batch):\n        print('changed')\n")
    assert counted != augmentation
    (tmp_path / "changing.py").write_text("\n\n".join([copy, counted]), encoding="utf-8")
    options = ["--data", "tickets.csv", "--model", checkpoints.TINY, "--epochs", "1"]
    wanted = [["finetune", f"./{name}.py", *options, "--output", f"runs/{name}"] for name in ("plain", "changing")]
    plain, changing = several(wanted, tmp_path)
    assert (plain.code, changing.code) == (0, 0), plain.text + changing.text
    assert "changed" in changing.out
    report = json.loads((tmp_path / "runs" / "plain" / "report.json").read_text(encoding="utf-8"))
    (cost,) = [metric for metric in report["evaluation"]["metrics"] if metric["name"] == "cost"]
    assert cost["low"] <= cost["value"] <= cost["high"]
    lines = (tmp_path / "runs" / "plain" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [line["loss"] for line in map(json.loads, lines) if line["event"] == "training"]
    assert losses
    assert min(losses) >= 100
