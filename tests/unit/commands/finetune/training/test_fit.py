"""The error of a run whose loss is NaN."""

import numpy as np
import pyarrow as pa

from tests.support.errors import refused
from toolkit.commands.finetune.training.fit import _rows_named
from toolkit.errors import RunError
from toolkit.training.loop.progress import NonFiniteLoss


def test_the_rows_of_the_users_files_are_named(tmp_path):
    train = pa.table(
        {"text": list("abcd"), "_file": ["one.csv", "one.csv", "two.csv", "two.csv"], "_row": [2, 9, 2, 5]}
    )
    with refused(RunError, "run.loss-not-finite") as caught, _rows_named(train, tmp_path):
        raise NonFiniteLoss(7, float("nan"), np.array([3, 0, 1]))
    assert caught.value.problem == (
        "The training loss is nan at step 7. Its batch: one.csv, rows 2, 9; two.csv, rows 5."
    )
    assert "learning rate" in caught.value.fix


def test_rows_that_are_not_in_memory_are_not_named(tmp_path):
    with refused(RunError, "run.loss-not-finite") as caught, _rows_named(None, tmp_path):
        raise NonFiniteLoss(7, float("nan"), np.array([3, 0, 1]))
    assert "rows" not in caught.value.problem
