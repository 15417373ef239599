"""What is wrong with this machine, line by line: each check is a plain function that returns its verdict and a fix.

    ok       nothing to do
    warning  works, but slower, smaller or with fewer models than it could
    fault    training, downloads or saving will fail

No check stops another: what a check did not expect becomes a fault of its own. Nothing said here holds a token, a
password or the name of an account, so the output can be pasted into a bug report.
"""

import importlib
import os
import platform
import re
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from toolkit.environment import PACKAGES, version

if TYPE_CHECKING:
    from packaging.requirements import Requirement

DISTRIBUTION = "finetune-toolkit"
OLDEST_PYTHON = (3, 11)
GIB = 2**30
LOW_DISK = 5 * GIB  # bytes; a large checkpoint and the run that fine-tunes it
FULL_DISK = 500 * 2**20  # bytes; less than one small model
LOW_MEMORY = 2 * GIB  # bytes; torch, a small model and its optimizer
SCAN_SECONDS = 3.0  # a cache of thousands of files on a network disk takes minutes
TOKEN_SECONDS = 6.0

# Compiled against NumPy or another C interface, so a wrong version shows at import and not in the metadata.
COMPILED = ("numpy", "pyarrow", "tokenizers", "safetensors", "sklearn.metrics")
# Where a container's memory limit stands: control groups version 2, then version 1.
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
NVIDIA_DRIVER = Path("/proc/driver/nvidia")

T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """One line of the examination.

    Attributes:
        name: What was looked at.
        verdict: "ok", "warning" or "fault".
        finding: What was found.
        fix: What to do about it; None when there is nothing to do.
    """

    name: str
    verdict: Literal["ok", "warning", "fault"]
    finding: str
    fix: str | None = None


def examine() -> list[Check]:
    """Make every check."""
    return list(findings())


def findings() -> Iterator[Check]:
    """Yield what each check finds as soon as it is known."""
    for name, check in CHECKS:
        yield from _guarded(name, check)


def _guarded(name: str, check: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    found: list[Check] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a package's own warnings are not findings
            found.extend(check())
    except Exception as error:  # a broken installation fails in ways that no list foresees
        found.append(Check(name, "fault", f"could not be examined: {_said(error)}", _way_out(error)))
    for line in found:
        yield replace(line, finding=_clean(line.finding), fix=_clean(line.fix) if line.fix else None)


def _way_out(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f'Run `pip install --upgrade "{DISTRIBUTION}"`, which brings every package it needs.'
    return "Mend what the message names, or report it together with the output of `toolkit doctor --json`."


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def _clean(text: str) -> str:
    """Put a text on one line and take out what must not be shown: messages of libraries quote headers and addresses."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        secret = os.environ.get(name, "").strip()
        if len(secret) >= 8:
            text = text.replace(secret, f"({name})")
    text = re.sub(r"\bhf_[A-Za-z0-9_]{20,}", "(token)", text)
    text = re.sub(r"(?<=://)[^/@\s]+@", "", text)  # user:password@ of an address
    return " ".join(text.split())


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise TimeoutError and leave it behind in its thread."""
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # raised again by the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"


# Python and its packages.


def python() -> Iterator[Check]:
    """Look at the version of Python."""
    installed = platform.python_version()
    if tuple(int(part) for part in installed.split(".")[:2]) >= OLDEST_PYTHON:
        yield Check("Python", "ok", installed)
    else:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        fix = f"Make a new environment with Python {wanted} or newer and install the toolkit there."
        yield Check("Python", "fault", f"{installed} is older than {wanted}", fix)


def packages() -> Iterator[Check]:
    """Compare the required packages with the ranges in the toolkit's own metadata."""
    if version(DISTRIBUTION) is None:
        fix = "Run `pip install -e .` in its folder, so that the ranges it needs are known."
        yield Check("packages", "warning", "the toolkit runs from a folder that is not installed", fix)
        return
    required = _requirements(DISTRIBUTION)
    misfits = [(requirement, text) for requirement in required if (text := _misfit(requirement))]
    if misfits:
        finding = "; ".join(text for _, text in misfits)
        yield Check("packages", "fault", finding, _pip_install(requirement for requirement, _ in misfits))
    else:
        shown = ", ".join(f"{name} {installed}" for name in PACKAGES if (installed := version(name)))
        yield Check("packages", "ok", f"all {len(required)} in range: {shown}")


def pairs() -> Iterator[Check]:
    """Compare what the required packages need of each other: pip mends one and leaves the other broken."""
    holders = [r.name for r in _requirements(DISTRIBUTION) if version(r.name)] if version(DISTRIBUTION) else PACKAGES
    misfits = [
        (holder, requirement, text)
        for holder in holders
        for requirement in (_requirements(holder) if version(holder) else ())
        if (text := _misfit(requirement))
    ]
    if not misfits:
        yield Check("pairs", "ok", f"{len(holders)} packages agree on the versions of what they share")
        return
    # transformers compares at import and refuses; the others try their luck
    broken = any(holder == "transformers" for holder, _, _ in misfits)
    finding = "; ".join(f"{holder} {version(holder)} does not fit: {text}" for holder, _, text in misfits)
    fix = _pip_install(requirement for _, requirement, _ in misfits)
    yield Check("pairs", "fault" if broken else "warning", finding, fix)


def _requirements(distribution: str, extra: str | None = None) -> list["Requirement"]:
    """Return what a distribution requires on this machine, or what one of its extras adds to that."""
    from packaging.requirements import Requirement

    found = []
    for text in metadata.requires(distribution) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        always = marker is None or marker.evaluate({"extra": ""})
        added = extra is not None and marker is not None and not always and marker.evaluate({"extra": extra})
        if added if extra else always:
            found.append(requirement)
    return found


def _misfit(requirement: "Requirement") -> str | None:
    """Say how the installed version misses a requirement, or None when it meets it."""
    from packaging.version import Version

    installed = version(requirement.name)
    if installed is None:
        return f"{requirement.name} is not installed (needs {requirement.specifier or 'any version'})"
    # a vendor's build of a coming release (2.13.0a0+vendor) counts as that release
    if requirement.specifier.contains(installed, prereleases=True):
        return None
    if requirement.specifier.contains(Version(installed).base_version, prereleases=True):
        return None
    return f"{requirement.name} {installed} is not in range (needs {requirement.specifier})"


def _pip_install(requirements: Iterable["Requirement"]) -> str:
    wanted = dict.fromkeys(f'"{requirement.name}{requirement.specifier}"' for requirement in requirements)
    return f"Run `pip install {' '.join(wanted)}`."


def compiled() -> Iterator[Check]:
    """Import the packages that hold machine code, and pass an array from NumPy to torch and back."""
    broken = set()
    for name in COMPILED:
        try:
            importlib.import_module(name)
        except Exception as error:  # ImportError, ValueError, AttributeError: each library has its own
            broken.add(name)
            package = {"sklearn.metrics": "scikit-learn"}.get(name, name)
            wanted = " ".join(dict.fromkeys(("numpy", package)))
            fix = f"Run `pip install --force-reinstall {wanted}`, so that matching builds are in place."
            yield Check("compiled code", "fault", f"{package} cannot be imported ({_said(error)})", fix)
    problem = None if "numpy" in broken else _array_problem()
    if problem:
        finding = f"torch and numpy {version('numpy')} do not work together ({problem})"
        fix = "Run `pip install --upgrade torch numpy`: this torch was built for another NumPy."
        yield Check("compiled code", "fault", finding, fix)
    elif not broken:
        yield Check("compiled code", "ok", f"imported; torch and numpy {version('numpy')} share arrays")


def _array_problem() -> str | None:
    torch = _torch()
    if torch is None:
        return None
    try:
        import numpy as np

        torch.from_numpy(np.ones(1)).numpy()
    except Exception as error:
        return _said(error)
    return None


def demo() -> Iterator[Check]:
    """Say whether the packaged model and data of the demo are here."""
    wanted = [requirement.name for requirement in _requirements(DISTRIBUTION, "demo")] if version(DISTRIBUTION) else []
    here = [f"{name} {version(name)}" for name in wanted if version(name)]
    if wanted and len(here) == len(wanted):
        yield Check("demo", "ok", f"{', '.join(here)}: the demo needs no Hub")
    else:
        text = f'not installed; `pip install "{DISTRIBUTION}[demo]"` brings a model and data that need no Hub'
        yield Check("demo", "ok", text)


# torch, its neighbours and the machine.


def _torch() -> Any:
    """Return torch, or None when it cannot be imported, which is a finding of `torch_build` alone."""
    try:
        return importlib.import_module("torch")
    except Exception:  # a missing library is an OSError, a broken build may raise anything
        return None


def torch_build() -> Iterator[Check]:
    """Look at how torch was built, and whether that fits the GPUs here."""
    try:
        torch: Any = importlib.import_module("torch")
    except Exception as error:
        fix = "Run `pip install --force-reinstall torch`."
        yield Check("torch", "fault", f"cannot be imported ({_said(error)})", fix)
        return
    built_for = _accelerator(torch)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # torch says in a warning why a driver cannot be used
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
    return "Harmless without a GPU. With one, install its driver; in a container, start it with access to the GPUs."


def torchvision() -> Iterator[Check]:
    """Look whether torchvision, if it is here, was built for this torch.

    transformers prefers torchvision wherever it is installed, so a broken one takes every image class down with it.
    """
    installed = version("torchvision")
    torch = _torch()
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
            f"{installed} does not work with torch {build} ({_said(error)}), "
            "which breaks every image class of transformers, and its Trainer and pipelines"
        )
        yield Check("torchvision", "fault", finding, fix)
        return
    pins = [requirement for requirement in _requirements("torchvision") if requirement.name == "torch"]
    built_for = getattr(getattr(module, "version", None), "cuda", torch.version.cuda)
    if any(_misfit(pin) for pin in pins) or built_for != torch.version.cuda or _tags_differ(installed, build):
        finding = f"{installed} was built for another torch than {build}; image classes of transformers may fail"
        yield Check("torchvision", "warning", finding, fix)
    else:
        yield Check("torchvision", "ok", f"{installed} fits torch {build}")


def _tags_differ(one: str, other: str) -> bool:
    """Whether two versions name different builds (+cpu, +cu130); packages of the public index name none."""
    first, second = one.partition("+")[2], other.partition("+")[2]
    return bool(first and second) and first != second


def processor() -> Iterator[Check]:
    """Look at the cores, and at how many of them torch uses."""
    import psutil

    torch = _torch()
    if torch is None:
        return
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    threads = torch.get_num_threads()
    limit = os.environ.get("OMP_NUM_THREADS")
    finding = f"{platform.machine()}, {cores} cores, {threads} threads"
    if limit is None:
        yield Check("processor", "ok", finding)
    elif threads >= cores or torch.cuda.is_available():
        yield Check("processor", "ok", f"{finding} (OMP_NUM_THREADS={limit})")
    else:
        finding = f"OMP_NUM_THREADS={limit} holds torch to {threads} of {cores} cores"
        yield Check("processor", "warning", finding, f"Unset OMP_NUM_THREADS, or set it to {cores}.")


def memory() -> Iterator[Check]:
    """Look at the memory of the machine, or of the container that it is."""
    import psutil

    system = psutil.virtual_memory()
    limit = _memory_limit()
    total = min(system.total, limit or system.total)
    available = min(system.available, total)
    whose = " (the container's limit)" if total < system.total else ""
    finding = f"{_gib(available)} of {_gib(total)} available{whose}"
    if available < LOW_MEMORY:
        fix = "Close other programs, or raise the container's limit; a smaller `training.micro_batch_size` needs less."
        yield Check("memory", "warning", finding, fix)
    else:
        yield Check("memory", "ok", finding)


def _memory_limit() -> int | None:
    """Return the control group's limit in bytes; psutil sees only the host's memory."""
    for path in MEMORY_LIMITS:
        try:
            return int(path.read_text(encoding="ascii"))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return None


def devices() -> Iterator[Check]:
    """Compute something on each accelerator, and look at its memory and precision."""
    torch = _torch()
    if torch is None:
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(count):
        yield _gpu(torch, index)
    if torch.backends.mps.is_available():
        yield Check("device mps", "ok", f"Apple GPU, {_gib(torch.mps.recommended_max_memory())} usable")
    elif not count:
        yield Check("device cpu", "ok", "no GPU: training runs on the CPU, in fp32")


def _gpu(torch: Any, index: int) -> Check:
    name = f"device cuda:{index}"
    model = torch.cuda.get_device_name(index)
    try:
        torch.ones(8, device=f"cuda:{index}").sum().item()
        free, total = torch.cuda.mem_get_info(index)
        with torch.cuda.device(index):
            bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    except Exception as error:  # a build without code for this GPU, a GPU in exclusive use, no memory left
        fix = "`nvidia-smi` shows who uses it. If nobody, install a torch built for it, or set training.device=cpu."
        return Check(name, "fault", f"{model} does not compute ({_said(error)})", fix)
    finding = f"{model}, {_gib(free)} of {_gib(total)} free, {'bf16' if bf16 else 'no bf16 in hardware'}"
    if free < LOW_MEMORY:
        return Check(name, "warning", finding, "Another program holds its memory; `nvidia-smi` shows which.")
    return Check(name, "ok", finding)


# The Hub, the cache and the disks.


def hub() -> Iterator[Check]:
    """Ask the Hub whether it is there."""
    from huggingface_hub import constants

    from toolkit import sources

    chosen = bool(os.environ.get("HF_ENDPOINT"))
    problem = sources.hub_problem()
    if problem is None:
        yield Check("Hub", "ok", f"{constants.ENDPOINT} answers" + (" (set by HF_ENDPOINT)" if chosen else ""))
        return
    cause = "Check HF_ENDPOINT, the network and its proxy" if chosen else "Check the network and its proxy"
    if constants.HF_HUB_OFFLINE:
        cause = "Unset HF_HUB_OFFLINE"
    yield Check("Hub", "warning", problem, f"{cause} to use the Hub. {what_works_here()}")


def what_works_here() -> str:
    """Name the models that work with no network, without listing a huge cache for ever."""
    from toolkit import models

    try:
        return _within(SCAN_SECONDS, models.what_works_here)
    except TimeoutError:
        return "Models in the cache and local checkpoint folders work without a network."


def token() -> Iterator[Check]:
    """Look whether there is a token and what it may do; neither it nor its owner is shown."""
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.errors import HfHubHTTPError

    from toolkit import sources

    held_by_variable = bool(os.environ.get("HF_TOKEN"))
    try:
        secret = _within(TOKEN_SECONDS, get_token)
    except Exception as error:  # its message may quote the token
        yield Check("token", "fault", f"cannot be read ({type(error).__name__})", "Run `hf auth login`.")
        return
    if not secret:
        yield Check("token", "ok", "none: public models and data need none; `hf auth login` sets one")
        return
    problem = sources.hub_problem()
    if problem is not None:
        yield Check("token", "ok", "present; not checked without the Hub")
        return
    try:
        owner = _within(TOKEN_SECONDS, lambda: HfApi(endpoint=constants.ENDPOINT).whoami(token=secret))
    except Exception as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code == 401:
            in_file = "Run `hf auth login` with a valid token, or `hf auth logout`."
            fix = "Set HF_TOKEN to a valid token, or unset it." if held_by_variable else in_file
            yield Check("token", "fault", "the Hub refuses it, and with it even what is public", fix)
        else:
            finding = f"present; the Hub did not say whether it is valid ({type(error).__name__})"
            yield Check("token", "warning", finding, "Try again in a minute.")
        return
    yield Check("token", "ok", f"valid, {_role(owner)}")


def _role(owner: Any) -> str:
    access = (owner.get("auth") or {}).get("accessToken") or {}
    role = str(access.get("role"))
    if role == "fineGrained":
        scopes = (access.get("fineGrained") or {}).get("scoped") or ()
        writes = any("repo.write" in scope.get("permissions", ()) for scope in scopes)
        return f"fine-grained: {'writes to some repositories' if writes else 'reads only, so it cannot push'}"
    return {"read": "role read: it cannot push", "write": "role write"}.get(role, "role unknown")


def cache() -> Iterator[Check]:
    """Look at the folder into which models are downloaded."""
    from huggingface_hub import constants, scan_cache_dir

    folder = Path(constants.HF_HUB_CACHE)
    shown = _short(folder)
    problem = _write_problem(_existing(folder))
    if problem:
        fix = "Set HF_HOME to a folder that you may write to, or mend its permissions."
        yield Check("cache", "warning", f"{shown} cannot be written, so nothing can be downloaded ({problem})", fix)
        return
    if not folder.exists():
        yield Check("cache", "ok", f"{shown}, made by the first download")
        return
    try:
        held = _within(SCAN_SECONDS, lambda: scan_cache_dir(folder))
    except TimeoutError:
        yield Check("cache", "ok", f"{shown}, too large to be counted in {SCAN_SECONDS:g} s")
        return
    finding = f"{shown}, repositories: {len(held.repos)}, {_gib(held.size_on_disk)}"
    if held.warnings:
        finding = f"{finding}; incomplete or damaged: {len(held.warnings)}"
        fix = "Harmless until a cached model fails to load: then remove its folder there and download it again."
        yield Check("cache", "warning", finding, fix)
    else:
        yield Check("cache", "ok", finding)


def disks() -> Iterator[Check]:
    """Look at the space for downloads, and for runs."""
    from huggingface_hub import constants

    clean = "`hf cache ls` shows what the cache holds and `hf cache rm` removes it; HF_HOME moves it to another disk."
    yield _disk("disk (cache)", Path(constants.HF_HUB_CACHE), f"Free some space: {clean}")
    yield _disk("disk (here)", Path(), "Free some space, or give --output on another disk.")


def _disk(name: str, folder: Path, fix: str) -> Check:
    free = shutil.disk_usage(_existing(folder)).free
    if free < FULL_DISK:
        return Check(name, "fault", f"{free / 2**20:.0f} MiB free", fix)
    if free < LOW_DISK:
        return Check(name, "warning", f"{_gib(free)} free", fix)
    return Check(name, "ok", f"{_gib(free)} free")


def run_folder() -> Iterator[Check]:
    """Try to write where runs are kept."""
    from toolkit import runs

    problem = _write_problem(_existing(runs.HOME))
    if problem:
        fix = "Change to a folder that you may write to, or give --output."
        yield Check("runs", "fault", f"{runs.HOME}/ cannot be written here ({problem})", fix)
    else:
        yield Check("runs", "ok", f"{runs.HOME}/ can be written here")


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists())


def _write_problem(folder: Path) -> str | None:
    """Try it: permission bits say little about read-only mounts, quotas and the superuser."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or type(error).__name__


def _short(path: Path) -> str:
    """Write the path without the user's name where it lies in the home folder."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (RuntimeError, ValueError):  # no home folder, or another place
        return str(path)


# The imports of `torch_build` and below can end the whole process, so what is said before them must not wait for them.
CHECKS: tuple[tuple[str, Callable[[], Iterable[Check]]], ...] = (
    ("Python", python),
    ("packages", packages),
    ("pairs", pairs),
    ("demo", demo),
    ("Hub", hub),
    ("token", token),
    ("cache", cache),
    ("disk", disks),
    ("runs", run_folder),
    ("memory", memory),
    ("torch", torch_build),
    ("compiled code", compiled),
    ("torchvision", torchvision),
    ("processor", processor),
    ("devices", devices),
)
