"""Tables of the benchmark of several kinds of answers."""

import json
import re
from typing import Any

import pytest

from benchmarks import targets
from benchmarks.finetune import RESULTS, ROOT

PACKAGES = [
    {
        "Package": f"p{number}",
        "Source": f"s{number // 2} (1.0)",
        "Section": "games" if number < 20 else "net",
        "Installed-Size": str(10**number if number < 9 else number),
        "Tag": "role::program, use::gameplaying" if number % 2 else "role::data,",
        "Description": f"the package {number}",
    }
    for number in range(40)
]


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "packages", lambda: (*PACKAGES, {"Package": "bare"}))


def test_labels_come_from_the_lists():
    labels = dict(targets.tags())
    assert labels["the package 1"] == "role::program|use::gameplaying"
    assert labels["the package 2"] == "role::data"
    sizes = {text: float(size) for text, size in targets.sizes()}
    assert len(sizes) == 36  # without the two smallest and the two largest
    assert sizes["the package 5"] == pytest.approx(5, abs=1e-3)
    classes = dict(targets.size_classes())
    assert [list(classes.values()).count(label) for label in "12345"] == [8, 7, 7, 7, 7]


def test_pairs_have_one_source_or_one_section():
    numbers = [(int(a.split()[-1]), int(b.split()[-1]), label) for a, b, label in targets.same_source()]
    assert len(numbers) == 40
    for first, second, label in numbers:
        assert (first // 2 == second // 2) == (label == "same")
        assert (first < 20) == (second < 20)


def test_a_record_as_a_table():
    def metric(name: str, value: float, **facts: Any) -> dict[str, Any]:
        return {"name": name, "title": name, "value": value, "low": value / 2, "high": 1.0, **facts}

    result = {
        "target": "number",
        "rows": {"train": 1900},
        "metrics": [metric("mae", 0.25, unit="value"), metric("r2", 0.5, unit="score")],
        "baselines": {"Mean": [metric("mae", 0.5, unit="value"), metric("r2", 0.0, unit="score")]},
        "cpu_seconds": 12.0,
    }
    record = {"tables": {"size, as a logarithm": result}, "date": "2026-01-01", "command": "c"}
    lines = targets.markdown(record).splitlines()
    assert "| 1,900 | mae | 0.250 | 0.125 to 1.000 | mean 0.500 | 12 |" in lines[2]
    assert "| r2 | 0.500 |" in lines[3]


def test_the_page_has_the_table_of_the_record():
    record = json.loads((RESULTS / "targets-cpu.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "labels.md").read_text(encoding="utf-8")
    held = re.search(r"targets-cpu\.json -->\n(.*?)<!-- end", page, re.DOTALL)
    assert held is not None
    assert held[1] == targets.markdown(record)
