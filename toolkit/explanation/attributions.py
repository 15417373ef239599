"""Every method of explaining a prediction under its name: a score for each word or patch."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toolkit.explanation import attention, integration, patches
from toolkit.explanation.patches import Picture
from toolkit.explanation.question import Model
from toolkit.explanation.words import Example, Floats


@dataclass(frozen=True)
class Method:
    """A method that scores the words or patches that a prediction depends on.

    Attributes:
        name: Its name in options.
        title: Its name in reports.
        about: Description of its scores.
        signed: Whether a score below zero means that the word opposes the class, or lowers the number.
        of_pictures: Title and description where pictures are explained, if they differ.
    """

    name: str
    title: str
    about: str
    signed: bool
    of_pictures: tuple[str, str] | None = None

    def for_pictures(self) -> "Method":
        """Return the method with its title and description for pictures."""
        return self if self.of_pictures is None else replace(self, title=self.of_pictures[0], about=self.of_pictures[1])

    def for_numbers(self) -> "Method":
        """Return the method with its description where a number is predicted."""
        return replace(self, about=self.about.replace("the class's log odds", "the predicted number"))


METHODS = (
    Method(
        "leave-one-out",
        "Leave-one-out",
        "drop in the class's log odds when the word is left out",
        True,
        ("Occlusion", "drop in the class's log odds when a part has the mean colour"),
    ),
    Method(
        "integrated-gradients",
        "Integrated gradients",
        "gradients summed along the path from an empty text (Sundararajan et al. 2017)",
        True,
        ("Integrated gradients", "gradients summed along the path from the mean colour (Sundararajan et al. 2017)"),
    ),
    Method(
        "gradient-input",
        "Gradient × input",
        "one gradient times the word's embedding",
        True,
        ("Gradient × input", "one gradient times the pixels' difference from the mean colour"),
    ),
    Method("relevance", "Relevance", "attention weighted by its gradients, layer by layer (Chefer et al. 2021)", False),
    Method("rollout", "Attention rollout", "attention followed through the layers (Abnar and Zuidema 2020)", False),
    Method("attention", "Mean attention", "attention averaged over all layers and heads", False),
    Method("last-attention", "Last layer's attention", "attention of the last layer, averaged over its heads", False),
)
BY_NAME: Mapping[str, Method] = {method.name: method for method in METHODS}


def described(name: str, *, of_pictures: bool, of_numbers: bool) -> Method:
    """Return a method with its title and description for what is explained."""
    method = BY_NAME[name].for_pictures() if of_pictures else BY_NAME[name]
    return method.for_numbers() if of_numbers else method


_FROM_WEIGHTS: Mapping[str, Callable[[attention.Watched], Floats]] = {
    "relevance": attention.relevance,
    "rollout": attention.rollout,
    "attention": attention.mean_attention,
    "last-attention": attention.last_attention,
}


@dataclass(frozen=True)
class Explanation:
    """The scores of one text or picture by each method.

    Attributes:
        example: The text or picture.
        target: Number of the output that is explained: the class, or 0 for a number.
        scores: Method → score of each word or patch. Shape (W,).
        special: Method → score of each special token, for methods that score tokens.
        weights: Attention weights: of a text from token to token, shape (L, H, T, T); of a picture the attention of
            the decision to each patch, shape (L, H, rows, columns). None where they cannot be recorded.
        completeness_error: Share of the difference from the empty input by which the scores of integrated gradients
            miss it; None without them.
    """

    example: Example | Picture
    target: int
    scores: Mapping[str, Floats]
    special: Mapping[str, Floats]
    weights: Floats | None
    completeness_error: float | None = None


def available(watchable: bool = True) -> tuple[str, ...]:
    """Return the methods that work here; integrated gradients need captum.

    Args:
        watchable: Whether the model's attention can be recorded.
    """
    missing = {"integrated-gradients"} if importlib.util.find_spec("captum") is None else set()
    return tuple(name for name in BY_NAME if name not in missing and (watchable or name not in _FROM_WEIGHTS))


def explain(model: Model, example: Example | Picture, target: int, methods: Sequence[str]) -> Explanation:
    """Score every word of a text, or patch of a picture, by every method.

    Args:
        model: The model.
        example: The text or picture.
        target: Number of the output to explain, usually of the predicted class.
        methods: Names out of `METHODS`.

    Raises:
        ModelError: A method reads attention weights, and they cannot be recorded.
    """
    batch = model.batch([example.keep(range(len(example.words)))])
    batch.pop("labels", None)
    watched = None
    if _FROM_WEIGHTS.keys() & set(methods) or (isinstance(example, Example) and attention.watchable(model.network)):
        watched = attention.watch(model.network, batch, target, model.outcome)
    scores: dict[str, Floats] = {}
    special: dict[str, Floats] = {}
    missed: float | None = None
    for name in methods:
        if watched is not None and name in _FROM_WEIGHTS:
            tokens = _FROM_WEIGHTS[name](watched)
        elif isinstance(example, Picture) and name == "integrated-gradients":
            scores[name], missed = patches.integrated_gradients(model, example, batch, target)
            continue
        elif isinstance(example, Picture):
            occluded = name == "leave-one-out"
            scores[name] = (
                patches.leave_blocks_out(model, example, target)
                if occluded
                else patches.gradient_input(model, example, batch, target)
            )
            continue
        elif name == "leave-one-out":
            scores[name] = leave_one_out(model, example, target)
            continue
        elif name == "integrated-gradients":
            tokens, missed = integrated_gradients(model, example, batch, target)
        else:
            tokens = gradient_input(model, batch, target)
        scores[name], special[name] = example.by_word(tokens), tokens[list(example.special)]
    return Explanation(example, target, scores, special, None if watched is None else _maps(example, watched), missed)


def _maps(example: Example | Picture, watched: attention.Watched) -> Floats:
    """Return the weights of a text as they are; of a picture the rows that count, laid on its grid."""
    if isinstance(example, Example):
        return watched.weights
    read = np.einsum("t,lhts->lhs", watched.readout, watched.weights)[..., example.leading :]  # (L, H, W)
    return np.asarray(read.reshape(*read.shape[:2], *example.grid), np.float64)


def leave_one_out(model: Model, example: Example, target: int) -> Floats:
    """Return by how much the score falls when each word is left out (Li et al. 2016). Shape (W,)."""
    everything = range(len(example.words))
    without = [example.keep(word for word in everything if word != left) for left in everything]
    odds = model.scores([example.keep(everything), *without], target)  # (1 + W,)
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
            odds = model.outcome.score(model.network(**batch).logits, target)
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(odds.sum(), kept)
    return _per_token(gradient * kept[0])


def integrated_gradients(model: Model, example: Example, batch: Mapping[str, Any], target: int) -> tuple[Floats, float]:
    """Return gradients summed along the straight path from an empty text, by captum (Sundararajan et al. 2017).

    The empty text has padding in the place of every word, and keeps its special tokens.

    Returns:
        The scores, shape (T,), and their completeness error.
    """
    import torch
    from captum.attr import LayerIntegratedGradients

    others = {name: tensor for name, tensor in batch.items() if name != "input_ids"}
    ids = batch["input_ids"]
    empty = torch.full_like(ids, model.padding)
    special = list(example.special)
    empty[:, special] = ids[:, special]

    def odds(inputs: Any, *rest: Any) -> Any:
        logits = model.network(input_ids=inputs, **dict(zip(others, rest, strict=True))).logits
        return model.outcome.score(logits, target)

    method = LayerIntegratedGradients(odds, model.network.get_input_embeddings())

    def attribute(steps: int) -> tuple[Any, Any]:
        return method.attribute(  # type: ignore[no-any-return]
            ids,
            baselines=empty,
            additional_forward_args=tuple(others.values()),
            n_steps=steps,
            internal_batch_size=integration.TOGETHER,
            return_convergence_delta=True,
        )

    vectors, error = integration.converged(attribute)
    return _per_token(vectors), error


def _per_token(vectors: Any) -> Floats:
    """Sum over the vectors of one text. Shapes (1, T, E) → (T,)."""
    return vectors[0].detach().double().sum(dim=-1).cpu().numpy()  # type: ignore[no-any-return]
