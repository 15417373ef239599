"""torch, the GPUs it was built for, and torchvision."""

import shutil
import sys
import warnings

import pytest

from tests.support.doctor import one
from toolkit.doctor import builds, machine


def test_torch_that_is_missing_is_one_fault(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert one(builds.torch_build).verdict == "fault"
    for check in (machine.devices, machine.processor, builds.torchvision):
        assert list(check()) == []


def test_cuda_build_without_gpu(torch, monkeypatch):
    def is_available():
        warnings.warn("The NVIDIA driver on your system is too old", stacklevel=1)
        return False

    torch.cuda.is_available = is_available
    result = one(builds.torch_build)
    assert result.verdict == "warning"
    assert "CUDA 13.0" in result.finding
    assert "too old" in result.finding
    assert "ignore this" in result.fix.lower()
    monkeypatch.setattr(builds, "_nvidia_driver", lambda: True)
    assert "nvidia-smi" in one(builds.torch_build).fix
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert 'CUDA_VISIBLE_DEVICES is ""' in one(builds.torch_build).fix


def test_cpu_build_beside_a_driver(torch, monkeypatch):
    torch.version.cuda = None
    assert one(builds.torch_build).verdict == "ok"
    monkeypatch.setattr(builds, "_nvidia_driver", lambda: True)
    result = one(builds.torch_build)
    assert result.verdict == "warning"
    assert "CUDA build" in result.fix


def test_driver_is_found_by_its_tool_or_its_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(builds, "NVIDIA_DRIVER", tmp_path / "nvidia")
    assert not builds._nvidia_driver()
    (tmp_path / "nvidia").mkdir()
    assert builds._nvidia_driver()


def test_torchvision_that_is_absent(installed):
    installed(torchvision=None)
    assert one(builds.torchvision).verdict == "ok"


def test_torchvision_that_cannot_be_imported(torchvision):
    torchvision("raise RuntimeError('operator torchvision::nms does not exist')")
    result = one(builds.torchvision)
    assert result.verdict == "fault"
    assert "torchvision::nms" in result.finding
    assert "every image class of transformers" in result.finding
    assert "pip uninstall torchvision" in result.fix


@pytest.mark.parametrize(
    "code, requires",
    [("", "torch==1.0"), ("from types import SimpleNamespace\nversion = SimpleNamespace(cuda='1.0')", "torch")],
)
def test_torchvision_for_another_torch(torchvision, code, requires):
    torchvision(code, requires)
    assert one(builds.torchvision).verdict == "warning"


def test_torchvision_with_another_tag(torchvision, installed):
    installed(torch="2.13.0+cpu")
    torchvision("")
    assert one(builds.torchvision).verdict == "ok"
    installed(torchvision="0.99.0+cu130")
    assert one(builds.torchvision).verdict == "warning"
