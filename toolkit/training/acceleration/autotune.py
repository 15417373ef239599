"""Choose the fastest computation on this machine by measuring it, and store the result.

Whether 16-bit floats are faster than 32-bit ones on a CPU depends on its instructions: on one with bf16 matrix
products training ran 1.6 times as fast, on others it is slower. Which attention kernel is fastest depends on the
precision and on the machine, and whether compiling pays on how long the run is. So nothing is assumed: a few steps of
each kind are taken in turn on a real batch. The result is stored for each machine and kind of model, so that the same
command computes the same thing the next time.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import toolkit
from toolkit import environment, runs
from toolkit.attention.implementations.packed import Packing, repeated_layers
from toolkit.config.settings import TrainingConfig
from toolkit.errors import ConfigError
from toolkit.training.acceleration import compiling
from toolkit.training.acceleration.accelerate_model import accelerated
from toolkit.training.distributed.devices import pick_precision

ROUNDS = 5
HOPELESS = 3.0  # excluded if this many times slower than the fastest in the first round, which warms up
BEATEN = 1.3  # the same in a later round
WORTH = 1.1  # minimum gain for a lower precision
MOST_SAVED = 0.3  # minimum gain of a step by compiling
LEAST_WARM_UP = 60.0  # seconds; if a run cannot save as much, compiling is not measured

Say = Callable[[str], None]


@dataclass(frozen=True)
class ComputeSettings:
    """How a run's steps are computed.

    Attributes:
        precision: "fp32", "bf16" or "fp16".
        kernel: Attention kernel for batches without padding: "auto", "varlen", "sdpa" or "products".
        compiled: Whether layers are compiled by torch.compile.
    """

    precision: str
    kernel: str = "auto"
    compiled: bool = False

    def facts(self) -> dict[str, Any]:
        """Return the facts for a run's record."""
        return {"precision": self.precision, "attention_kernel": self.kernel, "compiled": self.compiled}


def recorded(facts: Mapping[str, Any]) -> ComputeSettings | None:
    """Return the settings in a run's record; None where it holds none."""
    if "precision" not in facts:
        return None
    settings = ComputeSettings(facts["precision"], facts.get("attention_kernel", "auto"), facts.get("compiled", False))
    known = settings.precision in ("fp32", "bf16", "fp16") and settings.kernel in ("auto", "varlen", "sdpa", "products")
    return settings if known and isinstance(settings.compiled, bool) else None


def configured(config: TrainingConfig, device: str) -> ComputeSettings:
    """Return the settings that the configuration gives, without measuring.

    Raises:
        ConfigError: The device does not support a setting, or a key requires what `acceleration` turns off.
    """
    plain = config.acceleration == "off"
    if plain:
        _check_plain(config)
    if config.attention_kernel == "varlen" and device != "cuda":
        raise ConfigError(
            "The kernel varlen runs on NVIDIA GPUs only.",
            "Use `--set training.attention_kernel=auto`.",
            id="device.unsupported",
        )
    wanted = "fp32" if plain and config.precision == "auto" else config.precision
    return ComputeSettings(pick_precision(wanted, device), config.attention_kernel, bool(config.compile))


def _check_plain(config: TrainingConfig) -> None:
    """Refuse other keys that require what `training.acceleration=off` turns off."""
    neutral = {"tune_speed": "false", "compile": "false", "attention_kernel": "auto"}
    others = [key for key in neutral if getattr(config, key) not in (False, None, "auto")]
    if others:
        raise ConfigError(
            f"`training.acceleration` is off, and {', '.join(f'`training.{key}`' for key in others)} requires it.",
            f"Unset one of them: `--set training.acceleration=auto`, or `--set training.{others[0]}="
            f"{neutral[others[0]]}`.",
            id="config.conflict",
        )


def measured(
    model: Any,
    batch: Mapping[str, Any],
    probe: Mapping[str, Any] | None,
    config: TrainingConfig,
    device: str,
    steps: int,
    say: Say = lambda _text: None,
) -> ComputeSettings:
    """Return the settings with which this model trains fastest here, within those that the configuration allows.

    Args:
        model: In training mode, on its device; gradients are cleared again and random generators put back.
        batch: A typical one, with labels, on the CPU.
        probe: A small one, for a trial of packing; None to leave batches padded.
        config: Values other than "auto" are kept.
        device: "cpu", "cuda" or "mps".
        steps: How many the run will take, within which compiling must pay off.
        say: Called with a note on what does not work.
    """
    compute = configured(config, device)
    key = f"{_machine(model, device)}, {len(next(iter(batch.values())))} examples"
    everything = _read()
    known = everything.get(key, {})
    precisions = ("fp32", "bf16") if config.precision == "auto" and device != "cuda" else (compute.precision,)
    kernels = (compute.kernel,) if compute.kernel != "auto" else ("varlen", "sdpa", "products")
    with accelerated(model, probe) as quick:  # as training will run it
        packing = quick.packing
        pairs = list(product(precisions, _possible(kernels, packing, device)))
        if not all("/".join(pair) in known.get("seconds", {}) for pair in pairs):
            known = {**known, "seconds": {**known.get("seconds", {}), **_measure(model, batch, packing, device, pairs)}}
        compute = _fastest(known["seconds"], pairs)
        due = known["seconds"]["/".join((compute.precision, compute.kernel))]
        compilable = config.compile is None and device != "mps" and repeated_layers(model) is not None
        if compilable and steps * due * MOST_SAVED > LEAST_WARM_UP and "compiled" not in known:
            known["compiled"] = _measure_compiled(model, batch, packing, device, compute, say)
    _remember(everything, key, known)
    pays = config.compile is None and pays_back(known.get("compiled"), steps)
    return replace(compute, compiled=bool(config.compile) or pays)


def pays_back(seconds: Mapping[str, float] | None, steps: int) -> bool:
    """Whether what compiling saves in `steps` is more than it costs; None and {}, where it was not measured, do not."""
    if not seconds:
        return False
    return (seconds["plain"] - seconds["compiled"]) * steps > seconds["warm_up"]


def _possible(kernels: Sequence[str], packing: Packing | None, device: str) -> tuple[str, ...]:
    """Return which of `kernels` differ on this device."""
    if packing is None:
        return ("auto",)
    return tuple(kernel for kernel in kernels if kernel != "varlen" or device == "cuda")


def _fastest(seconds: Mapping[str, float], pairs: Sequence[tuple[str, str]]) -> ComputeSettings:
    """Return the fastest pair; a lower precision must be faster by a minimum gain."""
    best = {
        precision: min((pair for pair in pairs if pair[0] == precision), key=lambda pair: seconds["/".join(pair)])
        for precision, _ in pairs
    }
    if len(best) == 1:
        return ComputeSettings(*next(iter(best.values())))
    gain = seconds["/".join(best["fp32"])] / seconds["/".join(best["bf16"])]
    return ComputeSettings(*best["bf16" if gain > WORTH else "fp32"])


def _measure(
    model: Any, batch: Mapping[str, Any], packing: Packing | None, device: str, pairs: Sequence[tuple[str, str]]
) -> dict[str, float]:
    """Return the median seconds of a forward and backward pass for each pair of precision and kernel, in turn."""
    generator = _random_state(device)
    seconds: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    left = list(pairs)
    for round_number in range(ROUNDS + 1):
        for pair in left:
            passed = _pass(model, batch, packing, device, ComputeSettings(*pair))
            if round_number == 1:
                seconds[pair].clear()  # the first one warms up
            seconds[pair].append(passed)
        most = min(seconds[pair][-1] for pair in left) * (BEATEN if round_number else HOPELESS)
        left = [pair for pair in left if seconds[pair][-1] <= most]
        if len(left) == 1:
            break
    _restore_random_state(generator, device)
    return {"/".join(pair): round(statistics.median(taken), 4) for pair, taken in seconds.items()}


def _measure_compiled(
    model: Any, batch: Mapping[str, Any], packing: Packing | None, device: str, compute: ComputeSettings, say: Say
) -> dict[str, float]:
    """Return the median seconds of a pass, plain and compiled, and the cost of compiling; {} on failure."""
    generator = _random_state(device)
    plain, compiled = [], []
    smaller = {name: tensor[: max(1, len(tensor) // 2)] for name, tensor in batch.items()}  # another shape
    try:
        with compiling.compiled(model, packing):
            warm_up = sum(_pass(model, part, packing, device, compute) for part in (batch, smaller))
            for _ in range(ROUNDS):
                compiled.append(_pass(model, batch, packing, device, compute))
                with compiling.suspended():
                    plain.append(_pass(model, batch, packing, device, compute))
    except Exception as error:  # no compiler, no support: the run continues uncompiled
        say(f"torch.compile does not work here ({type(error).__name__}); the layers run uncompiled.")
        return {}
    finally:
        model.zero_grad(set_to_none=True)
        _restore_random_state(generator, device)
    figures = {"plain": statistics.median(plain), "compiled": statistics.median(compiled), "warm_up": warm_up}
    return {name: round(value, 4) for name, value in figures.items()}


def _pass(
    model: Any, batch: Mapping[str, Any], packing: Packing | None, device: str, compute: ComputeSettings
) -> float:
    """Return the seconds of one forward and backward pass."""
    import torch

    with ExitStack() as stack:
        if packing is not None:
            stack.enter_context(replace(packing, kernel=compute.kernel).batch(batch, device))
        moved = {name: tensor.to(device) for name, tensor in batch.items()}
        _wait(device)
        start = time.perf_counter()
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(compute.precision)
        with torch.autocast(device, half) if half is not None else nullcontext():
            loss = model(**moved).loss
        loss.backward()
        _wait(device)
        taken = time.perf_counter() - start
    model.zero_grad(set_to_none=True)
    return taken


def _wait(device: str) -> None:
    """Wait until a GPU has finished its work."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def _random_state(device: str) -> tuple[Any, Any]:
    import torch

    return torch.get_rng_state(), torch.cuda.get_rng_state() if device == "cuda" else None


def _restore_random_state(state: tuple[Any, Any], device: str) -> None:
    import torch

    torch.set_rng_state(state[0])
    if device == "cuda":
        torch.cuda.set_rng_state(state[1])


def _machine(model: Any, device: str) -> str:
    import torch

    size = sum(parameter.numel() for parameter in model.parameters())
    computes = torch.cuda.get_device_name() if device == "cuda" else environment.processor()
    threads = f"{torch.get_num_threads()} threads, torch {torch.__version__}, toolkit {toolkit.__version__}"
    return f"{computes}, {threads}, {type(model).__name__} of {size:,}"


def _path() -> Path:
    return environment.cache_folder() / "speed.json"


def _read() -> dict[str, Any]:
    try:
        known = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in known.items() if isinstance(v, dict)} if isinstance(known, dict) else {}


def _remember(everything: dict[str, Any], key: str, known: dict[str, Any]) -> None:
    if everything.get(key) == known:
        return
    _path().parent.mkdir(parents=True, exist_ok=True)
    runs.write_json(_path(), {**everything, key: known})
