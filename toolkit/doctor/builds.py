"""The build of torch, and its compatibility with the GPUs and the installed torchvision."""

import importlib
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolkit.doctor.check import Check, summary
from toolkit.doctor.installation import misfit, requirements, torch_module
from toolkit.environment import version

NVIDIA_DRIVER = Path("/proc/driver/nvidia")


def torch_build() -> Iterator[Check]:
    """Check the build of torch and its compatibility with the GPUs."""
    try:
        torch: Any = importlib.import_module("torch")
    except Exception as error:
        fix = "Run `pip install --force-reinstall torch`."
        yield Check("torch", "fault", f"cannot be imported ({summary(error)})", fix)
        return
    built_for = _accelerator(torch)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # torch gives the reason for an unusable driver in a warning
        sees_gpu = torch.cuda.is_available()
    if built_for is None and _nvidia_driver():
        finding = f"{torch.__version__} is a build for the CPU, but this machine has an NVIDIA driver"
        fix = (
            "To train on the GPU run `pip uninstall torch` and install a CUDA build: the install page of PyTorch gives "
            "the command for the CUDA version that `nvidia-smi` shows."
        )
        yield Check("torch", "warning", finding, fix)
    elif built_for is None or sees_gpu:
        yield Check("torch", "ok", f"{torch.__version__}, built for {built_for or 'the CPU'}")
    else:
        why = f" ({caught[0].message})" if caught else ""
        finding = f"{torch.__version__} is built for {built_for}, but it sees no GPU{why}"
        yield Check("torch", "warning", finding, _find_gpu())


def _accelerator(torch: Any) -> str | None:
    if getattr(torch.version, "hip", None):
        return f"ROCm {torch.version.hip}"
    return f"CUDA {torch.version.cuda}" if torch.version.cuda else None


def _nvidia_driver() -> bool:
    return shutil.which("nvidia-smi") is not None or NVIDIA_DRIVER.exists()


def _find_gpu() -> str:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return f'CUDA_VISIBLE_DEVICES is "{hidden}", which can hide GPUs: unset it.'
    if _nvidia_driver():
        return "Check that `nvidia-smi` lists the GPU and a CUDA no older than this; update the driver if not."
    return "Ignore this without a GPU. With one, install its driver; in a container, start it with access to the GPUs."


def torchvision() -> Iterator[Check]:
    """Check whether an installed torchvision was built for this torch.

    transformers prefers torchvision wherever it is installed, so a broken one breaks every image class.
    """
    installed = version("torchvision")
    torch = torch_module()
    if torch is None:
        return
    if installed is None:
        yield Check("torchvision", "ok", "not installed, and not needed: images are prepared with Pillow")
        return
    build = version("torch") or torch.__version__
    fix = (
        "Run `pip uninstall torchvision`, since the toolkit does not need it; "
        f"or install the torchvision that was built for torch {build}, from the same package index as torch."
    )
    try:
        module = importlib.import_module("torchvision")
    except Exception as error:  # RuntimeError for a missing operator, OSError for a missing library
        finding = (
            f"{installed} does not work with torch {build} ({summary(error)}), "
            "which breaks every image class of transformers, and its Trainer and pipelines"
        )
        yield Check("torchvision", "fault", finding, fix)
        return
    pins = [requirement for requirement in requirements("torchvision") if requirement.name == "torch"]
    built_for = getattr(getattr(module, "version", None), "cuda", torch.version.cuda)
    if any(misfit(pin) for pin in pins) or built_for != torch.version.cuda or _tags_differ(installed, build):
        finding = f"{installed} was built for another torch than {build}; image classes of transformers may fail"
        yield Check("torchvision", "warning", finding, fix)
    else:
        yield Check("torchvision", "ok", f"{installed} fits torch {build}")


def _tags_differ(version: str, other: str) -> bool:
    """Whether two versions name different builds (+cpu, +cu130); packages of the public index name none."""
    first, second = version.partition("+")[2], other.partition("+")[2]
    return bool(first and second) and first != second
