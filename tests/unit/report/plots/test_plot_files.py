"""Plots as files: whole SVG documents that hold what the report's page draws, and name nothing outside."""

import xml.etree.ElementTree as ET

import pytest

from tests.support.reports import sample
from toolkit.report.plots.plot_files import plot_files


def test_each_plot_is_a_whole_document_with_the_points_of_the_report():
    report = sample()
    files = plot_files(report)
    assert set(files) == {"loss.svg", "calibration.svg"}
    for content in files.values():
        root = ET.fromstring(content)
        assert root.tag.endswith("svg")
        assert b"http" not in content.replace(b"http://www.w3.org/2000/svg", b"")
    circles = ET.fromstring(files["loss.svg"]).iter("{http://www.w3.org/2000/svg}circle")
    assert len(list(circles)) == len(report["training"]["evaluations"])
    dots = ET.fromstring(files["calibration.svg"]).iter("{http://www.w3.org/2000/svg}circle")
    assert len(list(dots)) == len(report["evaluation"]["calibration"]["bins"])


@pytest.mark.parametrize("report", [{}, {"training": {"loss": []}}])
def test_what_was_not_measured_is_not_drawn(report):
    assert plot_files(report) == {}
