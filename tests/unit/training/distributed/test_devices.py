"""The device and the precision that a run computes in."""

from toolkit.config.settings import TrainingConfig
from toolkit.training.distributed.devices import accelerator_for


def test_runs_of_one_process_compute_each_in_their_own_precision() -> None:
    config = TrainingConfig(device="cpu")
    results = [accelerator_for(config, precision).mixed_precision for precision in ("fp32", "bf16", "fp32")]
    assert results == ["no", "bf16", "no"]
