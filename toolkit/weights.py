"""Load the weights of a checkpoint, and check that they reach the model.

Where a file lacks a weight or has it in another shape, transformers initializes it randomly and logs it.
Here a backbone is loaded completely or refused. A head for classes may be new: that is recorded, for callers that need
a trained one.
"""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.errors import ModelError

# prefixes that torch.compile, data parallelism and training loops add to the names of weights
_INNER = r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
_OUTER = re.compile(r"(?:(?:module|model)\.)+")
_ONLY_PRETRAINING = ("mask_token", "mask_emb")  # only used where tokens or patches are masked
_STATISTICS = ("running_mean", "running_var")  # learnt buffers
_NUMBERS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Loaded:
    """How a checkpoint's weights reached a model.

    Attributes:
        path: The checkpoint folder.
        new: Problems of the weights that were initialized randomly, all in the head; empty when there are none.
        note: A note on the names of the weights, or None.
    """

    path: Path
    new: tuple[str, ...]
    note: str | None

    def check_trained(self) -> None:
        """Refuse a model whose head is new: its predictions would be random.

        Raises:
            ModelError: With a weight that is missing or does not fit.
        """
        if self.new:
            raise ModelError(
                f"The checkpoint in {self.path} has no trained head for these classes: {self.new[0]}.",
                "Fine-tune it first, or check that its weights and the classes in its config.json belong together.",
                id="model.not-fine-tuned",
            )


_watched: ContextVar[list[Loaded] | None] = ContextVar("watched", default=None)


@contextmanager
def watched() -> Iterator[list[Loaded]]:
    """Collect the notes on every checkpoint that is loaded inside the block."""
    loaded: list[Loaded] = []
    token = _watched.set(loaded)
    try:
        yield loaded
    finally:
        _watched.reset(token)


def read(auto: Any, path: Path, *, new_head: bool, **arguments: Any) -> Any:
    """Load a model in 32-bit floats, and refuse one whose backbone is not in the checkpoint.

    Args:
        auto: The Auto class of the task.
        path: The checkpoint folder.
        new_head: Whether a head may be missing in the checkpoint, or be for other classes.
        arguments: For `from_pretrained`.

    Raises:
        ModelError: Weights are missing, of another shape, not floating-point numbers, not finite, or not in
            safetensors of this folder.
    """
    _check_index(path)
    _check_numbers(path)
    model, info = _from_pretrained(auto, path, **arguments)
    note = None
    if _lacking(model, info) and info["unexpected_keys"]:
        renamed, note = _wrapper(model, info["unexpected_keys"])
        if renamed:
            model, info = _from_pretrained(auto, path, key_mapping=renamed, **arguments)
            _forget(model)
    lacking = _lacking(model, info)
    head = _head(model, lacking)
    backbone = {name: fault for name, fault in lacking.items() if name not in head}
    if not new_head:
        backbone = {name: fault for name, fault in lacking.items() if not _is_pooler(name)}
    if backbone:
        raise _incomplete(path, model, backbone, info["unexpected_keys"])
    _check_finite(path, model)
    collected = _watched.get()
    if collected is not None:
        collected.append(Loaded(path, tuple(lacking.values()), note))
    return model


def parameters(path: Path) -> int:
    """Return how many parameters the weights in a checkpoint's folder have; from the headers of the files."""
    from safetensors import SafetensorError, safe_open

    total = 0
    try:
        for file in path.glob("model*.safetensors"):
            with safe_open(file, framework="pt") as stored:
                total += sum(math.prod(stored.get_slice(name).get_shape()) for name in stored.keys())  # noqa: SIM118
    except SafetensorError:  # loading it reports the cause
        total = 0
    files = [file for pattern in ("model*.safetensors", "pytorch_model*.bin") for file in path.glob(pattern)]
    return total or sum(file.stat().st_size for file in files) // 4


def _from_pretrained(auto: Any, path: Path, **arguments: Any) -> tuple[Any, dict[str, Any]]:
    import torch

    model, info = auto.from_pretrained(
        path,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,  # which are checked here
        output_loading_info=True,
        **arguments,
    )
    return model, info


def _lacking(model: Any, info: Mapping[str, Any]) -> dict[str, str]:
    """Return the weights that did not come from the checkpoint: name → its problem."""
    learned = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    learned |= {name for name, _ in model.named_buffers() if name.endswith(_STATISTICS)}
    problems = {name: f"`{name}` is missing" for name in sorted(info["missing_keys"]) if name in learned}
    for name, stored, wanted in sorted(info["mismatched_keys"]):
        if name in learned:
            problems[name] = f"`{name}` has the shape {_shape(stored)} where {_shape(wanted)} is expected"
    return {name: fault for name, fault in problems.items() if not name.endswith(_ONLY_PRETRAINING)}


def _shape(sizes: Any) -> str:
    return " × ".join(f"{size:,}" for size in sizes)


def _head(model: Any, lacking: Mapping[str, str]) -> set[str]:
    """Return the weights that belong to the head: everything outside the backbone, and its pooler.

    Poolers are not part of models that were pretrained by masking. Where a class keeps its backbone under no name of
    its own, the head is each part that is missing completely.
    """
    backbone = model.base_model_prefix
    if backbone and hasattr(model, backbone):
        return {name for name in lacking if not name.startswith(f"{backbone}.") or _is_pooler(name)}
    names = [name for name, _ in model.named_parameters()]
    there = {name.partition(".")[0] for name in names if name not in lacking}
    few = sum(name in lacking for name in names) <= len(names) / 2
    return {name for name in lacking if _is_pooler(name) or (few and name.partition(".")[0] not in there)}


def _is_pooler(name: str) -> bool:
    return "pooler" in name.split(".")


def _wrapper(model: Any, unexpected: Any) -> tuple[dict[str, str], str | None]:
    """Find a wrapper's prefix of the names of the weights: patterns to remove, and a note; none if none fits."""
    backbone = f"{model.base_model_prefix}."
    wanted = set(model.state_dict())
    wanted |= {name.removeprefix(backbone) for name in wanted}
    bare = {name: re.sub(_INNER, "", name) for name in unexpected}
    outer = {match[0] for name in bare.values() if (match := _OUTER.match(name))}
    prefixes = {"", *(prefix[: stop + 1] for prefix in outer for stop, sign in enumerate(prefix) if sign == ".")}
    known = {p: sum(n.startswith(p) and n.removeprefix(p) in wanted for n in bare.values()) for p in sorted(prefixes)}
    best = max(known, key=lambda prefix: known[prefix])
    if not known[best]:
        return {}, None
    patterns = {_INNER: ""} | ({f"^{re.escape(best)}": ""} if best else {})
    example = min(name for name, short in bare.items() if short.removeprefix(best) in wanted)
    shown = bare[example].removeprefix(best)
    note = (
        f"The weights were saved with a wrapper around the model; its prefix is removed from their names: `{example}` "
    )
    return patterns, f"{note}is `{shown}`."


def _forget(model: Any) -> None:
    """Save the model under its own names: transformers would restore the removed prefix."""
    conversions = getattr(model, "_weight_conversions", None) or []
    model._weight_conversions = [
        conversion for conversion in conversions if "" not in conversion._original_target_patterns
    ]


def _incomplete(path: Path, model: Any, faults: Mapping[str, str], unexpected: Any) -> ModelError:
    count = sum(1 for _ in model.named_parameters())
    kind = type(model).__name__
    other = f" It holds `{min(unexpected)}`, which is not a weight of {kind}." if unexpected else ""
    return ModelError(
        f"The checkpoint in {path} lacks {len(faults):,} of {count:,} weights of {kind}, which would be random: "
        f"{next(iter(faults.values()))}.{other}",
        "Save the whole model with `save_pretrained`, and check that config.json and weights belong together.",
        id="model.weights-incomplete",
    )


def _check_index(path: Path) -> None:
    """Refuse an index that names files outside the folder, or pickled ones for safetensors.

    Raises:
        ModelError: With the file that it names.
    """
    for index in sorted((*path.glob("*.safetensors.index.json"), *path.glob("*.bin.index.json"))):
        listed = runs.read_object(index).get("weight_map")
        kind = ".safetensors" if index.name.endswith(".safetensors.index.json") else ""
        for file in listed.values() if isinstance(listed, dict) else [listed]:
            if not isinstance(file, str) or Path(file).name != file or not file.endswith(kind):
                raise ModelError(
                    f"{index} places weights in {str(file)[:200]!r}, not in a {kind or 'weight'} file next to it.",
                    "Download or copy the checkpoint again, from a source that you trust.",
                    id="model.unsafe-index",
                )


def _check_numbers(path: Path) -> None:
    """Refuse weights in integers or 8-bit floats, which are meaningless without their scales."""
    from safetensors import safe_open

    for file in sorted(path.glob("*.safetensors")):
        with safe_open(file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118 - it is no mapping
                kind = stored.get_slice(name).get_dtype()
                if name.endswith(".weight") and kind not in _NUMBERS:
                    raise ModelError(
                        f"`{name}` in {file} is stored as {kind}: the weights are quantized.",
                        "Use the checkpoint with floating-point weights (F32, F16 or BF16) that it was made from.",
                        id="model.weights-quantized",
                    )


def _check_finite(path: Path, model: Any) -> None:
    """Refuse weights that are infinite or no numbers, as a training run that diverged leaves them."""
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            raise ModelError(
                f"`{name}` in the checkpoint in {path} holds values that are infinite or NaN.",
                "Its training diverged or the file is damaged: use an earlier checkpoint.",
                id="model.weights-not-finite",
            )
