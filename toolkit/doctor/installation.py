"""Python and its packages: versions, pairs of versions, and whether machine code can be imported."""

import importlib
import platform
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any

from toolkit.doctor.check import DISTRIBUTION, Check, summary
from toolkit.environment import PACKAGES, version

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OLDEST_PYTHON = (3, 11)
# Compiled against NumPy or another C interface, so a wrong version shows at import and not in the metadata.
COMPILED = ("numpy", "pyarrow", "tokenizers", "safetensors", "sklearn.metrics")


def python() -> Iterator[Check]:
    """Check the version of Python."""
    installed = platform.python_version()
    if tuple(int(part) for part in installed.split(".")[:2]) >= OLDEST_PYTHON:
        yield Check("Python", "ok", installed)
    else:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        fix = f"Make a new environment with Python {wanted} or newer and install the toolkit there."
        yield Check("Python", "fault", f"{installed} is older than {wanted}", fix)


def import_name() -> Iterator[Check]:
    """Find other distributions that install a package of the same name, whose files would replace this one's."""
    others = sorted(set(metadata.packages_distributions().get("toolkit", ())) - {DISTRIBUTION})
    if others:
        fix = f"Uninstall {others[0]}, or install the toolkit into an environment of its own."
        yield Check("name", "fault", f"{', '.join(others)} installs a package named toolkit, too", fix)
    else:
        yield Check("name", "ok", "no other package is named toolkit")


def packages() -> Iterator[Check]:
    """Compare the required packages with the ranges in the toolkit's own metadata."""
    if version(DISTRIBUTION) is None:
        fix = "Run `pip install -e .` in its folder, so that its version requirements are known."
        yield Check("packages", "warning", "the toolkit runs from a folder that is not installed", fix)
        return
    required = requirements(DISTRIBUTION)
    misfits = [(requirement, text) for requirement in required if (text := misfit(requirement))]
    if misfits:
        finding = "; ".join(text for _, text in misfits)
        yield Check("packages", "fault", finding, _pip_install(requirement for requirement, _ in misfits))
    else:
        shown = ", ".join(f"{name} {installed}" for name in PACKAGES if (installed := version(name)))
        yield Check("packages", "ok", f"all {len(required)} in range: {shown}")


def pairs() -> Iterator[Check]:
    """Compare what the required packages need of each other: pip may repair one and leave the other broken."""
    holders = [r.name for r in requirements(DISTRIBUTION) if version(r.name)] if version(DISTRIBUTION) else PACKAGES
    misfits = [
        (holder, requirement, text)
        for holder in holders
        for requirement in (requirements(holder) if version(holder) else ())
        if (text := misfit(requirement))
    ]
    if not misfits:
        yield Check("pairs", "ok", f"{len(holders)} packages have compatible versions of shared dependencies")
        return
    # transformers checks at import and refuses; the others do not check
    broken = any(holder == "transformers" for holder, _, _ in misfits)
    finding = "; ".join(f"{holder} {version(holder)} does not fit: {text}" for holder, _, text in misfits)
    fix = _pip_install(requirement for _, requirement, _ in misfits)
    yield Check("pairs", "fault" if broken else "warning", finding, fix)


def requirements(distribution: str, extra: str | None = None) -> list["Requirement"]:
    """Return what a distribution requires on this machine, or what one of its extras adds to that."""
    from packaging.requirements import Requirement

    applicable = []
    for text in metadata.requires(distribution) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        always = marker is None or marker.evaluate({"extra": ""})
        added = extra is not None and marker is not None and not always and marker.evaluate({"extra": extra})
        if added if extra else always:
            applicable.append(requirement)
    return applicable


def misfit(requirement: "Requirement") -> str | None:
    """Describe how the installed version violates a requirement; None when it meets it."""
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
    """Import the packages that hold machine code, and convert an array from NumPy to torch and back."""
    broken = set()
    for name in COMPILED:
        try:
            importlib.import_module(name)
        except Exception as error:  # ImportError, ValueError, AttributeError: each library has its own
            broken.add(name)
            package = {"sklearn.metrics": "scikit-learn"}.get(name, name)
            wanted = " ".join(dict.fromkeys(("numpy", package)))
            fix = f"Run `pip install --force-reinstall {wanted}`, so that matching builds are in place."
            yield Check("compiled code", "fault", f"{package} cannot be imported ({summary(error)})", fix)
    problem = None if "numpy" in broken else _array_problem()
    if problem:
        finding = f"torch and numpy {version('numpy')} do not work together ({problem})"
        fix = "Run `pip install --upgrade torch numpy`: this torch was built for another NumPy."
        yield Check("compiled code", "fault", finding, fix)
    elif not broken:
        yield Check("compiled code", "ok", f"imported; torch and numpy {version('numpy')} share arrays")


def _array_problem() -> str | None:
    torch = torch_module()
    if torch is None:
        return None
    try:
        import numpy as np

        torch.from_numpy(np.ones(1)).numpy()
    except Exception as error:
        return summary(error)
    return None


def torch_module() -> Any:
    """Return torch, or None when it cannot be imported, which only `torch_build` reports."""
    try:
        return importlib.import_module("torch")
    except Exception:  # a missing library is an OSError, a broken build may raise anything
        return None


def demo() -> Iterator[Check]:
    """Check whether the packaged model and data of the demo are installed."""
    wanted = [requirement.name for requirement in requirements(DISTRIBUTION, "demo")] if version(DISTRIBUTION) else []
    here = [f"{name} {version(name)}" for name in wanted if version(name)]
    if wanted and len(here) == len(wanted):
        yield Check("demo", "ok", f"{', '.join(here)}: the demo needs no Hub")
    else:
        text = f'not installed; `pip install "{DISTRIBUTION}[demo]"` brings a model and data that need no Hub'
        yield Check("demo", "ok", text)
