"""PNG files: what is drawn, and the message without matplotlib."""

import sys

import pytest
from matplotlib.figure import Figure

from tests.support.errors import refused
from toolkit.errors import ConfigError
from toolkit.report.plots import explanation_images

CURVE = [
    {"share": 0.0, "accuracy": 0.9, "flops": 80.0, "time": 1.0, "time_low": 0.9, "time_high": 1.2},
    {"share": 0.5, "accuracy": 0.7, "flops": 60.0, "time": 0.8, "time_low": 0.7, "time_high": 0.9},
]


def test_missing_matplotlib_fails_early(monkeypatch):
    explanation_images.check()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with refused(ConfigError, "machine.package-missing", "matplotlib", "[explain]"):
        explanation_images.check()


def test_the_curve_shows_quality_operations_and_time(monkeypatch, tmp_path):
    figures = []

    def kept(**settings):
        figures.append(Figure(**settings))
        return figures[-1]

    monkeypatch.setattr(explanation_images, "_figure_type", lambda: kept)
    path = explanation_images.draw_curve({"curve": CURVE, "metric": "accuracy", "chosen": 1}, tmp_path / "curve.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    *lines, mark = figures[0].axes[0].lines
    drawn = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in lines}
    assert drawn == {
        "accuracy": ([0, 50], [90, pytest.approx(70)]),
        "operations": ([0, 50], [100, 75]),
        "time": ([0, 50], [100, 80]),
    }
    assert list(mark.get_xdata()) == [50, 50]
    (band,) = figures[0].axes[0].collections
    assert sorted({round(float(y)) for _, y in band.get_paths()[0].vertices}) == [70, 90, 120]
