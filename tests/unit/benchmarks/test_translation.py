"""What the benchmark of translation counts and prints."""

import pytest

from benchmarks import translation

REFERENCES = ["eins Katze", "zwei Hunde"]


def test_ratios_are_taken_within_each_round():
    turns = {
        "toolkit": [(10.0, 2.0, REFERENCES), (20.0, 4.0, REFERENCES)],
        "Seq2SeqTrainer": [(20.0, 6.0, REFERENCES), (30.0, 8.0, ["eins Katze", "nichts"])],
    }
    whole = translation.summary(turns, ["one cat", "two dogs"], REFERENCES, 150)
    result = whole["contenders"]
    assert result["toolkit"]["times_training"] == 1
    assert result["Seq2SeqTrainer"]["times_training"] == pytest.approx(1.75)
    assert result["Seq2SeqTrainer"]["times_translating"] == pytest.approx(2.5)
    assert result["toolkit"]["rows_per_second"] == pytest.approx(10)
    assert result["toolkit"]["chrf"] == pytest.approx(100)
    assert result["Seq2SeqTrainer"]["chrf"] < 100
    assert whole["before"]["chrf"] < result["Seq2SeqTrainer"]["chrf"]
    lead = whole["toolkit_minus"]
    assert lead["Seq2SeqTrainer"]["chrf"]["value"] == pytest.approx(100 - result["Seq2SeqTrainer"]["chrf"])
    assert lead["before training"]["chrf"]["value"] > 0
    assert lead["before training"]["chrf"]["low"] <= 0  # two sentences prove nothing
    shared = {name: {**item, "gemm_share": 0.25} for name, item in result.items()}
    measured = {"command": "python -m benchmarks.translation", "date": "2025-01-01", "gemm_gflops": 400.0}
    record = {
        "machine": {"processor": "A CPU", "processors": 2, "torch": "2", "transformers": "5"},
        "model": "t5",
        "languages": ["en", "de"],
        "precisions": {"bf16": {**whole, "contenders": shared, **measured}},
    }
    table = translation.markdown(record)
    assert "| bf16 | toolkit | 10.0 | 1.00 | 25% | 0.67 | 1.00 |" in table
    assert "| bf16 | Seq2SeqTrainer | 6.0 | 1.75 | 25% | 0.29 | 2.50 |" in table
    assert "A CPU, 2 cores, torch 2, transformers 5; t5, en to de." in table
    assert "- bf16, toolkit less before training: BLEU +" in table
    assert "- bf16: 2025-01-01, `python -m benchmarks.translation`; GEMM peak 400 GFLOP/s." in table
