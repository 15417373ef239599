"""The depth of each parameter in the network, found without the names of any family.

    depth 0          modules before the first layer, and every embedding outside the layers
    depth 1 … L      the layers: the elements of the model's outermost `ModuleList`s, in their order
    depth L + 1      modules above them: pooler, final norm, head

In an encoder-decoder the encoder's layers come first; modules between two stacks belong to the layer
before it.
"""

import difflib
import re
from collections.abc import Iterator
from typing import Any

from toolkit.errors import ConfigError

NEAR_NAMES = 3


def layers(model: Any) -> list[tuple[str, Any]]:
    """Return (name, module) of each layer, from the input up; empty for a model without a stack of layers."""
    import torch

    stacks: list[str] = []
    layers_found = []
    for name, module in model.named_modules():
        nested = any(name.startswith(f"{stack}.") for stack in stacks)
        if isinstance(module, torch.nn.ModuleList) and not nested and next(module.parameters(), None) is not None:
            stacks.append(name)
            layers_found += [(f"{name}.{number}", layer) for number, layer in enumerate(module)]
    return layers_found


def depths(model: Any) -> dict[str, int]:
    """Return the depth of each parameter; shared ones have the depth of their first name.

    Args:
        model: A torch module; its parameters are registered in the order of their use.

    Returns:
        Name of each parameter, as `model.named_parameters` has it → 0 to number of layers + 1.
    """
    stack = layers(model)
    inside = {id(p): depth for depth, (_, layer) in enumerate(stack, 1) for p in layer.parameters()}
    embeddings = {id(parameter) for parameter in _embedding_parameters(model)}
    remaining = sum(id(p) in inside for p in model.parameters())
    depth_of: dict[str, int] = {}
    last = 0
    for name, parameter in model.named_parameters():
        if id(parameter) in inside:
            depth_of[name] = last = inside[id(parameter)]
            remaining -= 1
        elif id(parameter) in embeddings:
            depth_of[name] = 0
        else:
            depth_of[name] = last if remaining else len(stack) + 1
    return depth_of


def _embedding_parameters(model: Any) -> Iterator[Any]:
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            yield from module.parameters()


def above_layers(model: Any) -> list[str]:
    """Return the names of the outermost modules above the layers: pooler, final norm, head."""
    found_at = depths(model)
    top = len(layers(model)) + 1
    standing = {id(parameter): found_at[name] == top for name, parameter in model.named_parameters()}
    names: list[str] = []
    for name, module in model.named_modules():
        parts = [standing[id(parameter)] for parameter in module.parameters()]
        if name and parts and all(parts) and not any(name.startswith(f"{outer}.") for outer in names):
            names.append(name)
    return names


def freeze(model: Any, what: int | str) -> int:
    """Freeze some of the parameters.

    Args:
        model: Changed in place.
        what: A number of layers from the input up, with everything below them; "embeddings" for everything
            below the layers; "trunk" for all but the head; or a regular expression found in the names of parameters.

    Returns:
        Number of frozen parameters.

    Raises:
        ConfigError: It names nothing, more layers than there are, or everything.
    """
    names = dict(model.named_parameters())
    if what == "trunk":
        chosen = _in_backbone(model)
    else:
        chosen = _below(model, what) if isinstance(what, int) or what == "embeddings" else _matching(list(names), what)
    if len(chosen) == len(names):
        raise ConfigError(
            f"`training.freeze` is {what!r}, which leaves nothing to train.",
            "Freeze less: at least the head must be trained.",
            id="config.nothing-to-train",
        )
    for name in chosen:
        names[name].requires_grad_(False)
    return sum(names[name].numel() for name in chosen)


def _in_backbone(model: Any) -> list[str]:
    """Return the parameters of the model that was pretrained, without the head put on it."""
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    names = [name for name, _ in model.named_parameters() if name.startswith(prefix)]
    if not names:
        raise ConfigError(
            f"`training.freeze` is 'trunk', but {type(model).__name__} has no backbone separate from its head.",
            "Give a number of layers, or a regular expression that matches parameter names.",
            id="model.no-separate-head",
        )
    return names


def _below(model: Any, what: int | str) -> list[str]:
    count, known = what if isinstance(what, int) else 0, len(layers(model))
    if known < max(count, 1):
        raise ConfigError(
            f"`training.freeze` is {what!r}, but {type(model).__name__} has {known} layers.",
            f"Freeze at most {known} layers." if known else "Give a regular expression that matches parameter names.",
            id="config.no-such-layer",
        )
    return [name for name, depth in depths(model).items() if depth <= count]


def _matching(names: list[str], pattern: str) -> list[str]:
    chosen = [name for name in names if re.search(pattern, name)]
    if not chosen:
        raise ConfigError(
            f"`training.freeze` is {pattern!r}, which matches no parameter name.",
            f"The nearest names are {', '.join(nearest(pattern, names))}.",
            id="config.no-such-layer",
        )
    return chosen


def nearest(pattern: str, names: list[str]) -> list[str]:
    """Return the names most similar to the given one, at least some."""
    plain = re.sub(r"\\d\+?|[\\^$()\[\]*+?|]", "", pattern)
    return difflib.get_close_matches(plain, names, n=NEAR_NAMES, cutoff=0.0)
