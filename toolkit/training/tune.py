"""Choose what is fastest on the machine at hand by measuring it, and remember the answer.

Whether 16-bit floats are faster than 32-bit ones on a CPU depends on its instructions: on one with bf16 matrix
products training ran 1.6 times as fast, on others it is slower. So nothing is assumed: a few steps of each kind are
taken in turn on a real batch. The answer is kept for each machine and kind of model, so that the same command
computes the same thing the next time.
"""

import json
import statistics
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import toolkit
from toolkit import environment, runs
from toolkit.attention.packed import Packing
from toolkit.training.speed import quickened

ROUNDS = 5
HOPELESS = 3.0  # times slower in the first round, after which there is nothing more to measure
WORTH = 1.1  # a gain below this is not worth fewer digits


def precision(model: Any, batch: Mapping[str, Any], probe: Mapping[str, Any], device: str) -> str:
    """Return "bf16" or "fp32", whichever trains this model faster here; measured once for each machine.

    Args:
        model: In training mode, on its device; gradients are cleared again and random generators put back.
        batch: A typical one, with labels, on the CPU.
        probe: A small one, on which packing is tried.
        device: "cpu" or "mps"; on a GPU with bf16 hardware there is nothing to measure.
    """
    key = _machine(model)
    known = _read()
    if key not in known:
        with quickened(model, probe) as packing:  # as training will run it
            seconds = _measure(model, batch, packing, device)
        choice = "bf16" if seconds["fp32"] > WORTH * seconds["bf16"] else "fp32"
        known[key] = {"precision": choice, "seconds": seconds}
        _path().parent.mkdir(parents=True, exist_ok=True)
        runs.write_json(_path(), known)
    return str(known[key]["precision"])


def _measure(model: Any, batch: Mapping[str, Any], packing: Packing | None, device: str) -> dict[str, float]:
    """Return the median seconds of a forward and backward pass in each precision."""
    import torch

    generator = torch.get_rng_state()
    moved = {name: tensor.to(device) for name, tensor in batch.items()}
    seconds: dict[str, list[float]] = {"fp32": [], "bf16": []}
    for round_number in range(ROUNDS + 1):
        for name, taken in seconds.items():
            start = time.perf_counter()
            with packing.batch(batch, device) if packing is not None else nullcontext():
                with torch.autocast(device, torch.bfloat16, enabled=name == "bf16"):
                    loss = model(**moved).loss
                loss.backward()
            if round_number == 1:
                taken.clear()  # the first one warms up
            taken.append(time.perf_counter() - start)
            model.zero_grad(set_to_none=True)
        if seconds["bf16"][0] > HOPELESS * seconds["fp32"][0]:
            break  # no instructions for it: every further round would take seconds, and change nothing
    torch.set_rng_state(generator)
    return {name: round(statistics.median(taken), 4) for name, taken in seconds.items()}


def _machine(model: Any) -> str:
    import torch

    size = sum(parameter.numel() for parameter in model.parameters())
    threads = f"{torch.get_num_threads()} threads, torch {torch.__version__}, toolkit {toolkit.__version__}"
    return f"{environment.processor()}, {threads}, {type(model).__name__} of {size:,}"


def _path() -> Path:
    return environment.cache_folder() / "speed.json"


def _read() -> dict[str, Any]:
    try:
        known = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
