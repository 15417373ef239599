"""The software and hardware of a run, for reproduction, and its writable folders."""

import os
import platform
import stat
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

_TEMPORARY = "finetune-toolkit-"
PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "accelerate",
    "evaluate",
    "peft",
    "numpy",
    "scikit-learn",
)


def describe(*, model: bool = True) -> dict[str, Any]:
    """Return versions, processor, memory and devices; no user name, host name or path.

    Args:
        model: Whether a model computed, on devices and threads of torch; without one torch is not imported.
    """
    import psutil

    from toolkit import __version__

    facts: dict[str, Any] = {
        "toolkit": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "processors": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }
    if model:
        import torch

        facts["threads"] = torch.get_num_threads()
        facts["accelerators"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return facts | {package: version(package) for package in PACKAGES}


def version(package: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Return the processor's own name for itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cache_folder() -> Path:
    """Return the folder of the toolkit's caches; it may not exist yet.

    It is in the user's cache, or in a temporary folder where that cannot be written.
    """
    folder = _user_cache(os.environ)
    return temporary_folder() if folder is None or write_problem(folder) else folder / "finetune-toolkit"


def use_writable_caches(environ: MutableMapping[str, str]) -> None:
    """Let libraries use a temporary folder where the user's cache cannot be written, as with a read-only HOME.

    Models that are in the Hub's cache are still read there. Called before any of the libraries is imported.

    Args:
        environ: Of this process; existing values are kept.
    """
    if not environ.get("XDG_CACHE_HOME"):  # an empty one counts as unset; libraries would use the current folder
        environ.pop("XDG_CACHE_HOME", None)
    user = _user_cache(environ)
    home = Path(environ["HF_HOME"]).expanduser() if "HF_HOME" in environ else user and user / "huggingface"
    if home is None or write_problem(home):
        for name in ("DATASETS", "EVALUATE", "METRICS", "MODULES", "ASSETS", "XET"):
            environ.setdefault(f"HF_{name}_CACHE", str(temporary_folder() / "huggingface" / name.lower()))
        if home is None or not (home / "hub").is_dir():
            environ.setdefault("HF_HUB_CACHE", str(temporary_folder() / "huggingface" / "hub"))
    settings = _below_home(environ.get("XDG_CONFIG_HOME") or "~/.config")
    if user is None or settings is None or write_problem(user) or write_problem(settings):
        environ.setdefault("MPLCONFIGDIR", str(temporary_folder() / "matplotlib"))


def wait_briefly(environ: MutableMapping[str, str]) -> None:
    """Let waiting OpenMP threads release their core soon, as another program may need it.

    GNU's OpenMP spins for about a millisecond at each barrier. Where all cores are busy with other programs, a core
    that spins is not available to the thread that is waited for: BERT's passes took six times as long on two threads as
        on
    one. 1,000 rounds are its own default with more threads than cores. Called before torch is imported.

    Args:
        environ: Of this process; existing values are kept.
    """
    if "OMP_WAIT_POLICY" not in environ:
        environ.setdefault("GOMP_SPINCOUNT", "1000")


def send_no_telemetry(environ: MutableMapping[str, str]) -> None:
    """Keep ONNX Runtime and the trackers from reporting their use to their makers. Called before they are imported.

    Args:
        environ: Of this process; existing values are kept.
    """
    environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # of trackio and the app


def _user_cache(environ: MutableMapping[str, str]) -> Path | None:
    return _below_home(environ.get("XDG_CACHE_HOME") or "~/.cache")


def _below_home(path: str) -> Path | None:
    """Return a path; None if it is in the home folder of a user without one, as in containers."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return None


def is_temporary(folder: Path) -> bool:
    """Whether a folder is inside the result of `temporary_folder`, to this process or to the one that started it."""
    return any(part.startswith(_TEMPORARY) for part in folder.parts)


@cache
def temporary_folder() -> Path:
    """Return a folder that this user alone may write to, the same one in every process if possible."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"{_TEMPORARY}{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        status = None
    ours = status is not None and stat.S_ISDIR(status.st_mode) and status.st_uid == user and not status.st_mode & 0o077
    return folder if ours or user == "user" else Path(tempfile.mkdtemp(prefix=_TEMPORARY))


def existing(path: Path) -> Path:
    """Return the path, or the nearest existing parent folder."""
    return next(place for place in (path, *path.parents) if place.exists())


def write_problem(folder: Path) -> str | None:
    """Return why a folder, or its nearest existing parent, cannot be written; None where it can.

    It writes a file, since permission bits do not cover read-only mounts, quotas and the superuser.
    """
    try:
        with tempfile.TemporaryFile(dir=existing(folder)):
            return None
    except OSError as error:
        return error.strerror or type(error).__name__


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let the linear algebra of NumPy and SciPy use one thread inside the block, or in the decorated function.

    Small products take many times longer where OpenBLAS wakes a second thread for each of them.
    """
    import numpy as np  # noqa: F401 - only libraries that are loaded are limited
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
