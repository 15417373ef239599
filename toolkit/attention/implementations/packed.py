"""Batches without padding: the layers process real tokens only, and attention each sequence separately.

    embeddings   (B, T, H)   as the model computes them, positions and token types included
    ── pack ──   (1, N, H)   before the first layer: the N real tokens, sequences of like length side by side
    layers       (1, N, H)   linear layers, norms and dropout process no padding
      attention  (1, heads, N, D) → for each run of n sequences of length L: (n, heads, L, D), no mask needed
    ── unpack ── (B, T, H)   after the last layer: back in place, zeros where padding was, for the model's own head

Where the head reads nothing but each sequence's first token, as classifiers of the BERT family do, the last layer
computes keys and values for all tokens, and everything else for the first tokens alone:

    last layer   queries, output, feed-forward (1, B, H);  keys and values (1, N, H)

which leaves out ten twelfths of that layer's matrix products, and changes no logit and no gradient.

Pictures have no padding, and a Vision Transformer as many tokens for each: they gain the trimmed last layer, and
the choice between SDPA and plain products.

Sparse forms (`toolkit.attention.implementations.sparse`) attend within each sequence of a packed batch as SDPA does, on
the CPU.

Nothing of the model is copied or subclassed: the attention is a function registered with transformers'
`AttentionInterface`, and the rest are hooks on the first and the last layer. Whether a model can be run like this
is determined by a trial: `unpadded` compares the logits with those of the padded batch.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from toolkit import models
from toolkit.attention.implementations import sparse
from toolkit.attention.implementations.sequences import NAME, Drop, Now, attention, lay_out, mask
from toolkit.attention.interface import implementation, register, switch
from toolkit.errors import ModelError

TOLERANCE = 1e-3  # of the spread of the logits; a mistake in the arrangement is off by more than rounding
ROUNDING = 1e-5  # of the size of the logits


@dataclass(frozen=True)
class Packing:
    """Runs one model without padding.

    Attributes:
        layers: The model's layers, in the order in which they are called.
        drop: Drops attention weights at a rate; torch's dropout when None.
        length: Tokens of each example in the layers, where all have the same number and there is no mask.
        kernel: Attention kernel: "varlen", "sdpa", "products", or "auto" to choose by device.
    """

    layers: Any
    drop: Drop | None = None
    length: int | None = None
    kernel: str = "auto"

    @contextmanager
    def batch(self, batch: Mapping[str, Any], device: Any) -> Iterator[None]:
        """Pack what the model computes inside the block, forward and backward.

        Args:
            batch: What the model will be called with, still on the CPU; without an "attention_mask" nothing
                is packed, unless all examples are of one length.
            device: Where the model computes.
        """
        real = _mask(batch, self.length)
        Now.layout = lay_out(real, device) if real is not None else None
        Now.drop, Now.kernel = self.drop, self.kernel
        try:
            yield
        finally:
            Now.clear()


_ready: WeakKeyDictionary[Any, Packing] = WeakKeyDictionary()


@contextmanager
def unpadded(model: Any, batch: Mapping[str, Any], drop: Drop | None = None) -> Iterator[Packing | None]:
    """Make `model` ready to run without padding while the block lasts; yield None where it cannot.

    Args:
        model: A transformers model on its device. It is given back as it was. One that is ready already stays so.
        batch: A real one on the CPU, with examples of different lengths, to try it on.
        drop: (weights, rate) → weights, with which attention weights are dropped in training.
    """
    if model in _ready:
        yield _ready[model]
        return
    of_texts, of_pictures = "attention_mask" in batch, "pixel_values" in batch
    attends = _packs(model) if of_texts or of_pictures else None
    layers = repeated_layers(model) if attends is not None and not _drops_examples(model) else None
    # features of frozen layers are bit-identical, whether they are stored (`training.freeze=trunk`) or not
    if attends is None or layers is None or (not of_texts and model.training and not _learn(layers)):
        yield None
        return
    register(NAME, attention, mask)
    if not of_texts:
        batch = {name: values[:2] for name, values in batch.items()}  # all have the same length
    length, padded = _tried(model, layers, batch)
    packing = Packing(layers, drop, None if of_texts else length)
    with ExitStack() as hooks:
        try:
            hooks.callback(switch, model, implementation(model))
            switch(model, attends)
        except ModelError:
            yield None
            return
        hooks.callback(layers[0].register_forward_pre_hook(_pack, with_kwargs=True).remove)
        hooks.callback(layers[-1].register_forward_hook(_unpack).remove)
        if not _agrees(model, packing, batch, padded):
            yield None
            return
        _ready[model] = packing
        hooks.callback(_ready.pop, model)
        if any(getattr(layer, "gradient_checkpointing", False) for layer in layers):
            yield packing  # recomputed activations do not pass the hooks that trim
            return
        with _trimmed(layers[-1], model, packing, batch) as trimmed:
            if trimmed and _agrees(model, packing, batch, padded):
                yield packing
                return
        yield packing


def _packs(model: Any) -> str | None:
    """Return the attention that computes in a packed batch what the model's own does in a padded one; or None.

    Sparse forms support both themselves. On a GPU they have a kernel for padded batches.
    """
    name = implementation(model) if hasattr(model, "config") else None
    if name == "sdpa":
        return NAME
    return name if isinstance(name, str) and sparse.used_by(name) and model.device.type == "cpu" else None


@contextmanager
def _trimmed(layer: Any, model: Any, packing: Packing, batch: Mapping[str, Any]) -> Iterator[bool]:
    """Let `layer` compute its output for each sequence's first token only; yield whether that could be arranged."""
    recorded = _keys_and_values(layer, model, packing, batch)
    with ExitStack() as hooks:
        if recorded is not None:
            for name, module in recorded.items():
                hooks.callback(module.register_forward_hook(partial(_project_all, name)).remove)
            hooks.callback(layer.register_forward_pre_hook(_keep_first, with_kwargs=True).remove)
        yield recorded is not None


def _keys_and_values(layer: Any, model: Any, packing: Packing, batch: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the two modules in `layer` whose outputs reach attention as keys and values, whatever they are called.

    Attention receives views of the projections' outputs, so they share their memory. Where a norm comes
    before both, it is found as well, by the name of its input, "hidden_states".
    """
    made: dict[int, Any] = {}
    given: dict[int, int] = {}  # id of a module → address of its input
    alive: list[Any] = []  # so that no memory is used twice
    places: dict[str, int] = {}

    def note(module: Any, inputs: Any, output: Any) -> None:
        if hasattr(output, "untyped_storage"):
            alive.append(output)
            made.setdefault(output.untyped_storage().data_ptr(), module)
            if inputs:
                given[id(module)] = inputs[0].untyped_storage().data_ptr()

    def spy(**handed: Any) -> None:
        places.update({name: tensor.untyped_storage().data_ptr() for name, tensor in handed.items()})

    with ExitStack() as hooks:
        for module in layer.modules():
            hooks.callback(module.register_forward_hook(note).remove)
        hooks.callback(setattr, Now, "spy", None)
        Now.spy = spy
        with packing.batch(batch, model.device):
            _logits(model, batch)
    tensors = {name: made.get(place) for name, place in places.items()}
    if len(tensors) < 3 or None in tensors.values() or len({id(module) for module in tensors.values()}) < 3:
        return None
    projections = {name: tensors[name] for name in ("key", "value")}
    norms = [made.get(given.get(id(module), 0)) for module in projections.values()]
    if norms[0] is not norms[1]:
        return None
    return projections if norms[0] is None else {"hidden_states": norms[0], **projections}


def _mask(batch: Mapping[str, Any], length: int | None) -> Any:
    """Return which tokens of a batch are real, (B, T); None where that is not known."""
    if "attention_mask" in batch or length is None:
        return batch.get("attention_mask")
    import torch

    return torch.ones(len(next(iter(batch.values()))), length, dtype=torch.int64)


def _drops_examples(model: Any) -> bool:
    """Whether layers are left out at random for some examples of a batch, which must then stay apart."""
    return any(type(m).__name__.endswith("DropPath") and getattr(m, "drop_prob", 0) for m in model.modules())


def _learn(layers: Any) -> bool:
    return any(parameter.requires_grad for parameter in layers.parameters())


def _tried(model: Any, layers: Any, batch: Mapping[str, Any]) -> tuple[int | None, Any]:
    """Return how many tokens of each example reach the first layer, and the logits; None where it sees no tokens."""
    shapes: list[Any] = []

    def note(_layer: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        shapes.append(_hidden_states(arguments, keywords).shape)

    hook = layers[0].register_forward_pre_hook(note, with_kwargs=True)
    try:
        logits = _logits(model, batch)
    finally:
        hook.remove()
    return (int(shapes[0][1]) if shapes and len(shapes[0]) == 3 else None), logits


def repeated_layers(model: Any) -> Any:
    """Return the one list of equal layers that the model runs through, or None where there is none or several."""
    import torch

    lists = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.ModuleList)
        and len(module)
        and len({type(layer) for layer in module}) == 1
        and any(isinstance(part, torch.nn.Linear) for part in module[0].modules())
    ]
    inner = {id(part) for outer in lists for layer in outer for part in layer.modules()}
    outermost = [module for module in lists if id(module) not in inner]
    return outermost[0] if len(outermost) == 1 else None


def _logits(model: Any, batch: Mapping[str, Any]) -> Any:
    """Run the model in evaluation mode, at full precision; leave it as it was."""
    with models.plainly(model):
        return model(**{k: tensor.to(model.device) for k, tensor in batch.items()}).logits


def _agrees(model: Any, packing: Packing, batch: Mapping[str, Any], padded: Any) -> bool:
    """Whether packed logits equal padded ones; a model that cannot be packed at all does not agree."""
    import torch

    try:
        with packing.batch(batch, model.device):
            packed = _logits(model, batch)
    except Exception:
        return False
    if packed.shape != padded.shape:
        return False
    if packed.ndim == 3:  # a label for each token; values at padding are not read
        real = batch["attention_mask"].to(packed.device).bool()
        real = real[:, batch["logits_to_keep"]] if "logits_to_keep" in batch else real  # of some positions alone
        packed, padded = packed[real], padded[real]
    spread = (padded - padded.mean(dim=0)).abs().max()
    allowed = TOLERANCE * spread + ROUNDING * padded.abs().max()
    return bool(torch.isfinite(packed).all()) and bool((packed - padded).abs().max() <= allowed)


def _hidden_states(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return a layer's hidden states, passed by position or by name."""
    return arguments[0] if arguments else keywords["hidden_states"]


def _called_with(hidden_states: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Return a layer's arguments with other hidden states in their place."""
    if arguments:
        return (hidden_states, *arguments[1:]), keywords
    return (), {**keywords, "hidden_states": hidden_states}


def _pack(_layer: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """(B, T, H) → (1, N, H), before the first layer."""
    layout = Now.layout
    if layout is None:
        return None
    hidden_states = _hidden_states(arguments, keywords)
    if tuple(hidden_states.shape[:2]) != layout.shape:
        return None
    if layout.varied and _generates_kernels(hidden_states):
        Now.layout = layout = layout.rounded()
    return _called_with(hidden_states.flatten(0, 1).index_select(0, layout.index)[None], arguments, keywords)


def _generates_kernels(hidden_states: Any) -> bool:
    """Whether each new number of tokens costs the generation of kernels: in 16 bits on a CPU, where oneDNN computes."""
    import torch

    on_cpu = hidden_states.device.type == "cpu"
    return on_cpu and (hidden_states.element_size() == 2 or torch.is_autocast_enabled("cpu"))


def _keep_first(_layer: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """(1, N, H) → (1, B, H), each sequence's first token, before a trimmed layer."""
    layout = Now.layout
    if layout is None:
        return None
    hidden_states = _hidden_states(arguments, keywords)
    if hidden_states.shape[:2] != (1, layout.tokens):
        return None
    Now.hidden_states = hidden_states
    return _called_with(hidden_states.index_select(1, layout.boundaries[:-1]), arguments, keywords)


def _project_all(name: str, module: Any, _arguments: Any, _output: Any) -> None:
    """Compute a trimmed layer's keys, values or their inputs for all tokens, in addition to the first ones."""
    if Now.hidden_states is not None:
        setattr(Now, name, module.forward(Now.hidden_states))


def _unpack(_layer: Any, _arguments: Any, output: Any) -> Any:
    """(1, N, H), or (1, B, H) of first tokens, → (B, T, H) after the last layer."""
    layout = Now.layout
    hidden_states = output[0] if isinstance(output, tuple) else output
    if layout is None or hidden_states.shape[0] != 1:
        return None
    trimmed = Now.hidden_states is not None
    Now.hidden_states = Now.key = Now.value = None
    rows, length = layout.shape
    places = layout.index[layout.boundaries[:-1]] if trimmed else layout.index[: layout.real]
    empty = hidden_states.new_zeros(rows * length, hidden_states.shape[-1])
    unpacked = empty.index_copy(0, places, hidden_states[0, : len(places)]).view(rows, length, -1)
    return (unpacked, *output[1:]) if isinstance(output, tuple) else unpacked
