"""The benchmark of attention: it measures every form, and fits what it says it fits."""

from pathlib import Path

import pytest

from benchmarks import attention


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
    results = {"dense": {2048: (0.004, 10.0), 4096: (0.016, 40.0)}, "other": {2048: (0.001, 1.0)}}
    assert attention.table(results).splitlines() == [
        "| form | 2,048 | 4,096 | exponent |",
        "| --- | --: | --: | --: |",
        "| dense | 4 ms, 10 MiB | 16 ms, 40 MiB | 2.00 |",
        "| other | 1 ms, 1 MiB | – | – |",
    ]


def test_the_counts_in_the_document_are_those_that_are_printed():
    text = (Path(__file__).parents[3] / "docs" / "attention.md").read_text(encoding="utf-8")
    for form in attention.FORMS[1:]:
        counted = {length: attention.count(form, length) for length in (512, 1024)}
        printed = attention.count_table({form: counted}).splitlines()[2].rpartition(" | ")[0]
        assert f"\n{printed} | " in text
