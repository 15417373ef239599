"""Which device computes, and in which precision."""

from pathlib import Path
from typing import Any

from toolkit.config.settings import TrainingConfig
from toolkit.errors import ConfigError


def accelerator_for(config: TrainingConfig, precision: str, tracked: Path | None = None) -> Any:
    """Return an `accelerate.Accelerator` for the configured device, or the best one available.

    Args:
        config: Names the device.
        precision: "fp32", "bf16" or "fp16".
        tracked: Where `config.trackers` write files; None tracks nothing.

    Raises:
        ConfigError: The device is missing.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import ProjectConfiguration

    AcceleratorState._reset_state()  # it would keep the first run's precision for a second one of this process
    device = pick_device(config.device)
    trackers = list(config.trackers) if tracked is not None else []
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="no" if precision == "fp32" else precision,
        log_with=trackers or None,
        project_config=ProjectConfiguration(logging_dir=str(tracked)) if trackers else None,
    )


def pick_device(wanted: str) -> str:
    """Return "cuda", "mps" or "cpu"."""
    present = devices()
    if wanted == "auto":
        return present[0]
    if wanted not in present:
        raise ConfigError(
            f"This machine has no {wanted} device.",
            f"Devices present: {', '.join(present)}. See `toolkit doctor`.",
            id="device.missing",
        )
    return wanted


def devices() -> list[str]:
    """Return the kinds of device that are present, the fastest first."""
    import torch

    available = []
    if torch.cuda.is_available():
        available.append("cuda")
    if torch.backends.mps.is_available():
        available.append("mps")
    return [*available, "cpu"]


def pick_precision(wanted: str, device: str) -> str:
    """Return "fp32", "bf16" or "fp16"; automatic means bf16 on a GPU that computes it in hardware."""
    import torch

    has_bf16 = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "auto":
        return "bf16" if has_bf16 else "fp32"
    if wanted == "bf16" and device == "cuda" and not has_bf16:
        raise ConfigError(
            "This GPU does not support bf16.",
            "Use `--set training.precision=fp16` or fp32.",
            id="device.unsupported",
        )
    if wanted == "fp16" and device == "cpu":
        raise ConfigError("fp16 training needs a GPU.", "Use `--set training.precision=fp32`.", id="device.unsupported")
    return wanted
