"""Simulated faults of a machine."""

import sys
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants

from tests.support.hub import LocalHub
from toolkit import environment, sources
from toolkit.doctor import builds, installation
from toolkit.doctor.check import GIB


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def installed(monkeypatch):
    """Pretend that distributions have other versions, or None for absent."""

    def pretend(**versions):
        real = environment.version
        for module in (installation, builds):
            monkeypatch.setattr(module, "version", lambda name: versions.get(name, real(name)))

    return pretend


@pytest.fixture
def torch(monkeypatch):
    """Replace torch by a simulated one: by default a CUDA build that sees no GPU."""

    class Nowhere:
        def __enter__(self):
            return None

        def __exit__(self, *_):
            return None

    fake = SimpleNamespace(
        __version__="2.13.0+cu130",
        version=SimpleNamespace(cuda="13.0", hip=None),
        get_num_threads=lambda: 1,
        ones=lambda *_, **__: SimpleNamespace(sum=lambda: SimpleNamespace(item=lambda: 8.0)),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False)),
        cuda=SimpleNamespace(
            is_available=lambda: False,
            device_count=lambda: 2,
            device=lambda _: Nowhere(),
            get_device_name=lambda index: f"Accelerator {index}",
            mem_get_info=lambda _: (70 * GIB, 80 * GIB),
            is_bf16_supported=lambda including_emulation: not including_emulation,
        ),
    )
    monkeypatch.setitem(sys.modules, "torch", fake)
    monkeypatch.setattr(builds, "_nvidia_driver", lambda: False)
    return fake


@pytest.fixture
def torchvision(monkeypatch, tmp_path):
    """Install a torchvision that consists of `code`."""
    kept = sys.modules.pop("torchvision", None)

    def install(code, requires="torch"):
        (tmp_path / "torchvision").mkdir()
        (tmp_path / "torchvision" / "__init__.py").write_text(code)
        (tmp_path / "torchvision-0.99.0.dist-info").mkdir()
        text = f"Metadata-Version: 2.1\nName: torchvision\nVersion: 0.99.0\nRequires-Dist: {requires}\n"
        (tmp_path / "torchvision-0.99.0.dist-info" / "METADATA").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    sys.modules.pop("torchvision", None)
    if kept is not None:
        sys.modules["torchvision"] = kept


@pytest.fixture
def local_hub(monkeypatch):
    with LocalHub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        sources.hub_problem.cache_clear()
        yield hub
        huggingface_hub.close_session()
    sources.hub_problem.cache_clear()


@pytest.fixture
def no_hub(monkeypatch):
    monkeypatch.setattr(sources, "hub_problem", lambda: "the Hub cannot be reached (ConnectError)")
