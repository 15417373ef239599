"""The state of training on disk: written atomically, and checked by hash before it is used again.

    checkpoints/
        step-00000400/     weights.safetensors  optimizer.safetensors  random.safetensors  state.json
        step-00000200/     the one before, in case the newest is damaged
        best-00000400/     the model with the best validation result, as it will be exported

A state is whole when its state.json names every file with the hash that the file has. Nothing is pickled.
A best model is written before the state that refers to it and removed after the last state that does, so
every state has its best model.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.errors import RunError
from toolkit.training.distributed.sharding import like, whole

KEEP = 2  # states that stay on the disk


@dataclass(frozen=True)
class State:
    """A valid state of training.

    Attributes:
        path: Its folder.
        step: Optimizer steps taken.
        facts: Further values of the loop.
    """

    path: Path
    step: int
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Tensors:
    """The tensors of a state.

    Attributes:
        weights: Name → parameter, or stored buffer.
        moments: Number of the parameter and name of the moment, as "3.exp_avg" → tensor.
    """

    weights: Mapping[str, Any]
    moments: Mapping[str, Any]


def gather(model: Any, optimizer: Any) -> Tensors:
    """Return the weights and moments of training; if they are sharded, every process must call this.

    Args:
        model: Without a wrapper.
        optimizer: A torch optimizer.
    """
    return Tensors(
        {name: whole(tensor.detach()).contiguous() for name, tensor in _named_tensors(model)},
        {
            f"{number}.{name}": whole(tensor.detach()).contiguous()
            for number, values in optimizer.state_dict()["state"].items()
            for name, tensor in values.items()
        },
    )


def best_path(folder: Path, step: int) -> Path:
    """Return the path of the best model, of `step`."""
    return folder / f"best-{step:08d}"


def write(
    folder: Path,
    step: int,
    tensors: "Tensors",
    facts: Mapping[str, Any],
    random_states: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Write the whole state of training, and remove what is no longer needed.

    Args:
        folder: The run's checkpoints.
        step: Optimizer steps taken.
        tensors: From `gather`.
        facts: JSON values; "best_step" identifies the best model of the state.
        random_states: From `random_state`, of each process; of this one alone when not given.

    Raises:
        RunError: The disk is full.
    """
    from safetensors.torch import save_file

    with runs.aside(folder / f"step-{step:08d}") as draft:
        draft.mkdir()
        save_file(dict(tensors.weights), draft / "weights.safetensors")
        save_file(dict(tensors.moments), draft / "optimizer.safetensors")
        everyones = enumerate(random_states or [random_state()])
        generators = {f"{rank}.{name}": own[name] for rank, own in everyones for name in own}
        save_file(generators, draft / "random.safetensors")
        hashes = _digests(draft)
        best = _digests(best_path(folder, facts.get("best_step", 0)))
        runs.write_json(draft / "state.json", {"step": step, "facts": facts, "sha256": hashes, "best_sha256": best})
    prune(folder)


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a folder; nothing where there is none."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): runs.digest(file) for file in files}


def prune(folder: Path) -> None:
    """Keep the last states and the best models that they refer to."""
    states = sorted(folder.glob("step-*"))
    for old in states[:-KEEP]:
        shutil.rmtree(old)
    needed = {best_path(folder, _read(path)["facts"]["best_step"]) for path in states[-KEEP:]}
    for best in folder.glob("best-*"):
        if best not in needed:
            shutil.rmtree(best)


def newest(folder: Path) -> tuple[State | None, list[str]]:
    """Find the newest whole state.

    Returns:
        The state, or None when there is none; and a sentence on each damaged one that was skipped.
    """
    notes: list[str] = []
    for path in sorted(folder.glob("step-*"), reverse=True):
        fault = _fault(path)
        if fault is None:
            state = _read(path)
            return State(path, state["step"], state["facts"]), notes
        notes.append(f"The checkpoint {path.name} is damaged ({fault}) and ignored.")
        shutil.rmtree(path)
    return None, notes


def _fault(path: Path) -> str | None:
    try:
        state = _read(path)
        digests = _digests(path)  # of the existing files, since a copied state may name files elsewhere
        for name, expected in state["sha256"].items():
            if digests.get(name) != expected:
                return f"{name} differs from what was written"
        if not best_path(path.parent, state["facts"]["best_step"]).is_dir() and state["facts"]["best_step"]:
            return "its best model is missing"
        best = _digests(best_path(path.parent, state["facts"]["best_step"]))
        if any(best.get(name) != expected for name, expected in state.get("best_sha256", {}).items()):
            return "its best model differs from what was written"
    except Exception as error:  # of any type: it may contain anything
        return f"{type(error).__name__}"
    return None


def _read(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))
    return state


def restore(state: State, model: Any, optimizer: Any, rank: int = 0) -> None:
    """Restore weights, moments and random generators bit for bit.

    Args:
        state: From `newest`.
        model: Of the same shape.
        optimizer: Over the same parameters in the same order.
        rank: Whose random generators; a process without a saved one keeps its own.

    Raises:
        RunError: The state is of another model.
    """
    import torch
    from safetensors.torch import load_file

    saved = load_file(state.path / "weights.safetensors")
    own = dict(_named_tensors(model))
    if saved.keys() != own.keys() or any(saved[name].shape != own[name].shape for name in own):
        raise RunError(f"{state.path} belongs to another model.", "Run without --resume.", id="run.other-model")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(like(tensor, saved[name]))
    described = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Any]] = {}
    for key, tensor in load_file(state.path / "optimizer.safetensors").items():
        number, _, name = key.partition(".")
        moments.setdefault(int(number), {})[name] = like(parameters[int(number)], tensor)
    optimizer.load_state_dict({"state": moments, "param_groups": described["param_groups"]})
    generators = load_file(state.path / "random.safetensors")
    if f"{rank}.cpu" in generators:
        torch.set_rng_state(generators[f"{rank}.cpu"])
    if f"{rank}.cuda" in generators and torch.cuda.is_available():
        torch.cuda.set_rng_state(generators[f"{rank}.cuda"])


def _named_tensors(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield each parameter and stored buffer once, however many names it has."""
    yield from model.named_parameters()
    stored = set(model.state_dict())
    yield from ((name, tensor) for name, tensor in model.named_buffers() if name in stored)


def random_state() -> dict[str, Any]:
    """Return the state of this process's random generators."""
    import torch

    state = {"cpu": torch.get_rng_state()}
    return {**state, "cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else state
