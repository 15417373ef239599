"""The benchmark of attention: it measures every form, and fits the exponents."""

import json

import pytest

from benchmarks import attention, hybrids, long_reviews
from benchmarks.finetune import RESULTS, ROOT


@pytest.mark.parametrize("form", attention.FORMS)
def test_every_form_is_measured(form):
    seconds, mebibytes = attention.measure(form, 64, "cpu")
    assert seconds > 0
    assert mebibytes >= 0


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
def test_the_exponent_is_that_of_the_costs(power):
    lengths = [512, 1024, 2048, 4096, 8192]
    costs = [9.0, 9.0, *(3e-9 * length**power for length in lengths[2:])]  # short texts do not count
    assert attention.exponent(lengths, costs) == pytest.approx(power)
    assert attention.exponent(lengths[:3], costs[:3]) is None


def test_the_table():
    def one(seconds, mebibytes):
        return {"seconds": seconds, "peak_mib": mebibytes}

    forms = {"dense": {"2048": one(0.004, 10.0), "4096": one(0.016, 40.0)}, "other": {"2048": one(0.001, 1.0)}}
    assert attention.table({"forms": forms}).splitlines() == [
        "milliseconds",
        "",
        "| form | 2,048 | 4,096 | exponent |",
        "| --- | --: | --: | --: |",
        "| dense | 4 | 16 | 2.00 |",
        "| other | 1 | – | – |",
        "",
        "MiB at the peak",
        "",
        "| form | 2,048 | 4,096 | exponent |",
        "| --- | --: | --: | --: |",
        "| dense | 10 | 40 | 2.00 |",
        "| other | 1 | – | – |",
    ]


def test_the_document_shows_the_written_results():
    text = (ROOT / "docs" / "attention.md").read_text(encoding="utf-8")
    for line in attention.table(json.loads((RESULTS / "attention-cpu.json").read_text(encoding="utf-8"))).splitlines():
        assert line in text
    for line in hybrids.table(json.loads((RESULTS / "hybrids-cpu.json").read_text(encoding="utf-8"))).splitlines():
        assert line in text
    assert long_reviews.markdown(json.loads((RESULTS / "long-reviews-cpu.json").read_text(encoding="utf-8"))) in text


def test_the_counts_in_the_document_are_those_that_are_printed():
    text = (ROOT / "docs" / "attention.md").read_text(encoding="utf-8")
    for form in attention.FORMS[1:]:
        counted = {length: attention.count(form, length) for length in (512, 1024)}
        printed = attention.count_table({form: counted}).splitlines()[2].rpartition(" | ")[0]
        assert f"\n{printed} | " in text


@pytest.mark.parametrize("name", [*hybrids.TEXT_MODELS, *hybrids.PICTURE_MODELS])
def test_hybrids_are_compared_with_attention(name, monkeypatch):
    """Smaller ones, since the time of a test is short."""
    monkeypatch.setattr(hybrids, "LENGTHS", (64, 128))
    monkeypatch.setattr(hybrids, "SIDES", (64, 128))
    monkeypatch.setattr(hybrids, "SECONDS", 0.0)
    monkeypatch.setattr(hybrids, "PICTURES", 1)
    result = hybrids.measure(name, 64)
    assert result["parameters"] > 1e6
    assert result["seconds"] > 0
    assert result["peak_mib"] >= 0


def test_the_tables_of_hybrids():
    def one(seconds, mebibytes):
        return {"parameters": 2_500_000, "seconds": seconds, "peak_mib": mebibytes}

    record = {
        "texts": {"T": {"2048": one(0.004, 10.0), "4096": one(0.016, 20.0)}},
        "pictures": {"P": {"128": one(0.001, 5.0), "256": one(0.008, 20.0)}},  # four times the patches
    }
    assert [line for line in hybrids.table(record).splitlines() if line and not line.startswith("| -")] == [
        "texts: milliseconds, by tokens",
        "| model | 2,048 | 4,096 | exponent |",
        "| T, 2.5 M parameters | 4 | 16 | 2.00 |",
        "texts: MiB at the peak, by tokens",
        "| model | 2,048 | 4,096 | exponent |",
        "| T, 2.5 M parameters | 10 | 20 | 1.00 |",
        "pictures: milliseconds, by patches of 16 × 16",
        "| model | 64 | 256 | exponent |",
        "| P, 2.5 M parameters | 1 | 8 | 1.50 |",
        "pictures: MiB at the peak, by patches of 16 × 16",
        "| model | 64 | 256 | exponent |",
        "| P, 2.5 M parameters | 5 | 20 | 1.00 |",
    ]
