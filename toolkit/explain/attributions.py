"""Every method of explaining a prediction under its name: a score for each word."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.explain import attention
from toolkit.explain.question import Model, log_odds
from toolkit.explain.words import Example, Floats

INTEGRATION_STEPS = 16  # captum places them by Gauss and Legendre, which needs few


@dataclass(frozen=True)
class Method:
    """A way to say which words a prediction rests on.

    Attributes:
        name: How it is asked for.
        title: How it is shown.
        about: What its scores are.
        signed: Whether a score below zero means that the word speaks against the class.
    """

    name: str
    title: str
    about: str
    signed: bool


METHODS = (
    Method(
        "leave-one-out", "Leaving each word out", "how far the class's log odds fall when the word is left out", True
    ),
    Method(
        "integrated-gradients",
        "Integrated gradients",
        "gradients summed along the way from an empty text (Sundararajan et al. 2017)",
        True,
    ),
    Method("gradient-input", "Gradient × input", "one gradient times the word's vector", True),
    Method("relevance", "Relevance", "attention weighted by its gradients, layer by layer (Chefer et al. 2021)", False),
    Method("rollout", "Attention rollout", "attention followed through the layers (Abnar and Zuidema 2020)", False),
    Method("attention", "Mean attention", "attention averaged over all layers and heads", False),
    Method("last-attention", "Last layer's attention", "attention of the last layer, averaged over its heads", False),
)
BY_NAME: Mapping[str, Method] = {method.name: method for method in METHODS}

_FROM_WEIGHTS: Mapping[str, Callable[[attention.Watched], Floats]] = {
    "relevance": attention.relevance,
    "rollout": attention.rollout,
    "attention": attention.mean_attention,
    "last-attention": attention.last_attention,
}


@dataclass(frozen=True)
class Explanation:
    """What each method says of one text.

    Attributes:
        example: The text.
        target: The class that is explained.
        scores: Method → score of each word. Shape (W,).
        special: Method → score of each special token, for methods that score tokens.
        weights: Attention weights, shape (L, H, T, T); None where they cannot be recorded.
    """

    example: Example
    target: int
    scores: Mapping[str, Floats]
    special: Mapping[str, Floats]
    weights: Floats | None


def available(watchable: bool = True) -> tuple[str, ...]:
    """Return the methods that work here; integrated gradients need captum.

    Args:
        watchable: Whether the model's attention can be recorded.
    """
    missing = {"integrated-gradients"} if importlib.util.find_spec("captum") is None else set()
    return tuple(name for name in BY_NAME if name not in missing and (watchable or name not in _FROM_WEIGHTS))


def explain(model: Model, example: Example, target: int, methods: Sequence[str]) -> Explanation:
    """Score every word of a text by every method.

    Args:
        model: The classifier.
        example: The text.
        target: The class to explain, as a rule the one that the model chose.
        methods: Names out of `METHODS`.

    Raises:
        ModelError: A method reads attention weights, and they cannot be recorded.
    """
    batch = model.batch([example.keep(range(len(example.words)))])
    batch.pop("labels", None)
    watched = None
    if attention.watchable(model.network) or _FROM_WEIGHTS.keys() & set(methods):
        watched = attention.watch(model.network, batch, target)
    scores: dict[str, Floats] = {}
    special: dict[str, Floats] = {}
    for name in methods:
        if name == "leave-one-out":
            scores[name] = leave_one_out(model, example, target)
            continue
        if watched is not None and name in _FROM_WEIGHTS:
            tokens = _FROM_WEIGHTS[name](watched)
        elif name == "integrated-gradients":
            tokens = integrated_gradients(model, example, batch, target)
        else:
            tokens = gradient_input(model, batch, target)
        scores[name], special[name] = example.by_word(tokens), tokens[list(example.special)]
    return Explanation(example, target, scores, special, watched.weights if watched is not None else None)


def leave_one_out(model: Model, example: Example, target: int) -> Floats:
    """Return by how much the class's log odds fall when each word is left out (Li et al. 2016). Shape (W,)."""
    everything = range(len(example.words))
    without = [example.keep(word for word in everything if word != left) for left in everything]
    chances = model.probabilities([example.keep(everything), *without])[:, target].clip(1e-12, 1 - 1e-12)
    odds = np.log(chances) - np.log1p(-chances)  # (1 + W,)
    return np.asarray(odds[0] - odds[1:], np.float64)


def gradient_input(model: Model, batch: Mapping[str, Any], target: int) -> Floats:
    """Return gradient times input vector, summed over the vector (Simonyan et al. 2014). Shape (T,)."""
    import torch

    table = model.network.get_input_embeddings()
    kept: list[Any] = []

    def keep(_table: Any, _ids: Any, vectors: Any) -> Any:
        kept.append(vectors.detach().requires_grad_())
        return kept[-1]

    hook = table.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            odds = log_odds(model.network(**batch).logits, target)
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(odds.sum(), kept)
    return _per_token(gradient * kept[0])


def integrated_gradients(model: Model, example: Example, batch: Mapping[str, Any], target: int) -> Floats:
    """Return gradients summed along the straight way from an empty text, by captum (Sundararajan et al. 2017).

    The empty text has padding in the place of every word, and keeps its special tokens.

    Returns:
        Shape (T,).
    """
    import torch
    from captum.attr import LayerIntegratedGradients

    others = {name: tensor for name, tensor in batch.items() if name != "input_ids"}
    ids = batch["input_ids"]
    empty = torch.full_like(ids, model.padding)
    special = list(example.special)
    empty[:, special] = ids[:, special]

    def odds(inputs: Any, *rest: Any) -> Any:
        return log_odds(model.network(input_ids=inputs, **dict(zip(others, rest, strict=True))).logits, target)

    found = LayerIntegratedGradients(odds, model.network.get_input_embeddings()).attribute(
        ids,
        baselines=empty,
        additional_forward_args=tuple(others.values()),
        n_steps=INTEGRATION_STEPS,
        internal_batch_size=INTEGRATION_STEPS,
    )
    return _per_token(found)


def _per_token(vectors: Any) -> Floats:
    """Sum over the vectors of one text. Shapes (1, T, E) → (T,)."""
    return vectors[0].detach().double().sum(dim=-1).cpu().numpy()  # type: ignore[no-any-return]
