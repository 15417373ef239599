"""The range test minimises what training minimises."""

import csv
from pathlib import Path

from tests.support.checkpoints import TINY
from toolkit.commands.finetune.prepare import configure, prepare
from toolkit.commands.finetune.training import setup
from toolkit.commands.lr_find import lr_find


def test_the_loss_of_numbers_is_in_standard_units(tmp_path: Path) -> None:
    rows = [[f"flat {n} {'good' if n % 2 else 'bad'}", str(1e6 + n % 2 + 0.5)] for n in range(60)]
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["text", "price"], *rows])
    values = {"model": TINY, "data": {"source": str(tmp_path / "rows.csv"), "target": "number"}}
    values["data"]["columns"] = {"label": "price"}
    prepared = prepare(*configure("text", [("flag", values)]), lambda _event: None)
    objective = setup.objective_of(prepared, [1.0, 2.0, 3.0], 0.0)
    assert objective.name == prepared.recipe.target.objective(None, (), [1.0]).name
    result = lr_find(prepared, tmp_path, lambda _event: None, steps=12, lowest=1e-4, highest=1e-2)
    assert max(result.losses) < 10  # the squared error of prices is a million million
