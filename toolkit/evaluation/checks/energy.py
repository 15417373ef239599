"""Energy counters of the machine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Meter:
    """Counters of energy.

    Attributes:
        name: What is counted; or why nothing is.
        read: Returns each counter in joules; empty without counters.
    """

    name: str
    read: Callable[[], list[float]]


def meter(device: str) -> Meter:
    """Return the counters of the device: a GPU's own (NVML), or those of the processor packages (RAPL).

    Args:
        device: "cuda" or "cpu".
    """
    if device == "cuda":
        return _gpu()
    if counters := _counters():
        return Meter(
            "package counters (RAPL)", lambda: [int(counter.read_text(encoding="ascii")) / 1e6 for counter in counters]
        )
    return Meter("not measured: this machine has no readable energy counter", list)


def _counters() -> list[Path]:
    """Return the energy counters of the processor packages that may be read."""
    counters = []
    for counter in sorted(_RAPL.glob("intel-rapl:?/energy_uj")):
        try:
            counter.read_text(encoding="ascii")
        except OSError:
            continue
        counters.append(counter)
    return counters


def _gpu() -> Meter:
    try:
        import pynvml
    except ImportError:
        return Meter("not measured: reading the GPU's counter needs nvidia-ml-py (extra `energy`)", list)
    import torch

    try:
        pynvml.nvmlInit()
        gpu = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties().uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu)
    except pynvml.NVMLError as error:  # older than Volta, or a virtual machine
        return Meter(f"not measured: the GPU's counter cannot be read ({error})", list)
    return Meter("the GPU's counter (NVML)", lambda: [pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3])
