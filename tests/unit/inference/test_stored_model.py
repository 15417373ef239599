"""A model on disk: what is stored beside it is read once."""

import json

from toolkit import runs
from toolkit.inference.model import StoredModel


def test_the_calibration_is_read_once(tmp_path):
    card = tmp_path / runs.CARD
    card.write_text(json.dumps({"calibration": {"half_width": 2.0}}), encoding="utf-8")
    stored = StoredModel(tmp_path, None, (), None)
    assert stored.calibration == {"half_width": 2.0}
    card.unlink()
    assert stored.calibration == {"half_width": 2.0}  # also for the next rows
    assert stored.with_calibration({}).calibration == {}
