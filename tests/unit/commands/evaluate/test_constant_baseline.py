"""The baseline of rows that come without training rows: one prediction for all of them."""

from dataclasses import replace
from types import SimpleNamespace

import pyarrow as pa
import pytest

from toolkit.commands.evaluate.run import constant_baseline
from toolkit.tasks import loading

TEXT = loading.load("text")


def baseline(kind, truth, role="label"):
    recipe = TEXT.for_target(kind)
    columns = [replace(column, role=role) if column.role == "label" else column for column in recipe.columns]
    rows = pa.table({"text": ["a"] * len(truth), role: truth})
    return constant_baseline(
        SimpleNamespace(recipe=replace(recipe, columns=columns), rows=rows, labels=("a", "b", "c"))
    )


@pytest.mark.parametrize(
    ("kind", "truth", "expected"),
    [
        ("class", [2, 0, 2], 2),
        ("stars", [2, 0, 2], 2),
        ("classes", [[0, 1], [1], [1, 2]], [1]),
        ("number", [1.0, 2.0, 9.0], 2.0),
    ],
)
@pytest.mark.parametrize("role", ["label", "score"])
def test_every_kind_of_target_has_one(kind, truth, expected, role):
    (predictions,) = baseline(kind, truth, role).values()
    assert predictions == [expected] * 3


@pytest.mark.parametrize(("kind", "truth"), [("class", [1, 1]), ("classes", [[0], [0]]), ("number", [4.0, 4.0])])
def test_equal_rows_have_none(kind, truth):
    assert baseline(kind, truth) == {}
