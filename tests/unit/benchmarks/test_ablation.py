"""The ablation disables the named optimization, and compares within rounds."""

import pytest

from benchmarks import ablation
from tests.support import models

ECONOMIES = (
    *("no padding", "the last layer works for first tokens only", *ablation.IN_16_BITS, "cheap dropout"),
    *("the embeddings' gradient stays in place", "the loss is computed of target tokens", ablation.FUSED),
    *("own attention in padded batches", "freed memory stays in the process"),
)


@pytest.mark.parametrize("economy", [*ECONOMIES, ablation.OFF])
def test_a_step_is_taken_without_each_economy(economy):
    import torch

    model, batch = models.make("bert")
    workload = ablation.Workload(model.train(), [{**batch, "labels": torch.tensor([0, 1])}], ECONOMIES)
    before = model.classifier.weight.detach().clone()
    assert ablation.turn(workload, economy, bf16=True) > 0
    assert not torch.equal(model.classifier.weight, before)
    known = economy in (ablation.FUSED, ablation.OFF)  # by the configuration, not by another function
    assert bool(ablation.without(economy)) != known


def test_worth_is_the_median_of_ratios_within_rounds():
    speeds = {ablation.AUTO: [30.0, 20.0, 11.0], "cheap dropout": [20.0, 10.0, 10.0], ablation.OFF: [10.0, 10.0, 10.0]}
    record = {
        "workloads": {
            "text": {
                "samples_per_second": speeds,
                "profile": {"2": {"GELU": 3.0, "dropout": 1.0}, "1": {"GELU": 6.0, "dropout": 1.0}},
            }
        },
        "threads": 2,
        "machine": {"processor": "P"},
        "date": "D",
        "command": "C",
    }
    lines = ablation.markdown(record).splitlines()
    assert "| cheap dropout | 10.0 | +50.0% | +10.0% to +100.0% |" in lines
    assert "| everything | 10.0 | +100.0% | +10.0% to +200.0% |" in lines
    assert "| GELU | 6.0 | 3.0 | 75% | 2.00 |" in lines
    assert "| the whole | 7.0 | 4.0 | 100% | 1.75 |" in lines
