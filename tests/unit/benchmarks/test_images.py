"""What the benchmark of pictures counts and prints."""

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import images, picture_workloads
from toolkit.attention.implementations import sequences
from toolkit.attention.implementations.packed import unpadded
from toolkit.tasks import catalogue


def test_flops_are_those_that_torch_counts_where_the_last_layer_works_for_one_token(monkeypatch):
    from transformers import ViTConfig, ViTForImageClassification

    monkeypatch.setattr(sequences, "spells_out", lambda *_: True)  # torch does not count inside SDPA
    form = json.loads((catalogue.folder() / "forms" / "vit-tiny" / "config.json").read_text(encoding="utf-8"))
    model = ViTForImageClassification(ViTConfig(**form, num_labels=2))
    batch = {"pixel_values": torch.rand(3, 3, 28, 28), "labels": torch.tensor([0, 1, 0])}
    with unpadded(model, batch) as packing, FlopCounterMode(display=False) as counter:
        assert packing is not None
        with packing.batch(batch, "cpu"):
            model(**batch).loss.backward()
    assert counter.get_total_flops() == pytest.approx(3 * picture_workloads.training_flops(form), rel=0.02)


def test_the_table_takes_ratios_within_each_round():
    ours = [picture_workloads.Turn(1.0, 4.0, 0.01, 0.5), picture_workloads.Turn(1.0, 8.0, 0.02, 0.5)]
    theirs = [picture_workloads.Turn(0.0, 10.0, None, 0.5), picture_workloads.Turn(0.0, 18.0, None, 0.5)]
    peaks = {"fp32": [100.0], "bf16": [200.0]}
    contenders = {
        name: images.summary(turns, ours, 120, 240e9, "bf16", peaks)
        for name, turns in (("toolkit", ours), ("Trainer", theirs))
    }
    assert contenders["Trainer"]["times_reference"] == 2.0
    assert contenders["toolkit"]["samples_per_second"] == 20.0
    assert contenders["toolkit"]["gemm_share"] == {"fp32": pytest.approx(0.4), "bf16": pytest.approx(0.2)}
    table = images.markdown(
        {
            "workloads": {"small": {"contenders": contenders, "gemm_gflops": {"fp32": 100.0, "bf16": 200.0}}},
            "machine": {"processor": "A CPU", "processors": 2, "torch": "2", "transformers": "5"},
            "date": "2025-01-01",
            "command": "python -m benchmarks.images",
        }
    )
    assert "| small | toolkit | bf16 | 20.0 | 1.0 s | 6.0 s | 1.00 | 1.00 | 40% | 20% | 1.5% |" in table
    assert "| small | Trainer | bf16 | 8.6 | 0.0 s | 14.0 s | 2.00 | 2.38 | 17% | 9% |  |" in table


def test_the_pictures_are_cut_out_of_two_photographs(tmp_path):
    picture_workloads.draw_pictures(picture_workloads.Workload(4, 20, ".png", 1, 2, {}), tmp_path)
    files = sorted((tmp_path / "data" / "train").rglob("*.png"))
    assert [file.parent.name for file in files] == ["china", "china", "flower", "flower"]
