"""What training minimises: the model's own loss, or a cross entropy with weights, focus or smoothing.

An objective is a mean over a batch's items: examples, or tokens whose label is not -100. From the labels alone it
determines the weight of a batch in the mean over a whole step, so that

    loss of the step = Σ mean(outputs, batch) × weight(batch) / Σ weight(batch)

and accumulated micro-batches give the gradient of one large batch, with class weights too.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from toolkit.config.settings import LossConfig
from toolkit.data.batching.batch import Ragged
from toolkit.errors import ConfigError, RecipeError
from toolkit.training.loss.class_balance import log_shares

IGNORED = -100
RATIONALE = "rationale"  # marks of tokens, for the loss and not for the model
TEACHER = "teacher"  # logarithms of a teacher's probabilities, for the loss as well
Batch = Mapping[str, Any]


@dataclass(frozen=True)
class Objective:
    """A loss.

    Attributes:
        name: What reports call it.
        weight: Batch, with its labels, → its weight in the mean over a step.
        mean: (Outputs, batch) → the mean loss over the batch, a scalar with a gradient.
        penalty: (Records of attention, batch) → what is added to that mean; None where attention is not recorded.
        labels: Whether the model is given the labels too, and computes a loss of its own from them.
        arguments: Of the model's forward pass, besides the batch; with any, batches are padded.
    """

    name: str
    weight: Callable[[Batch], float]
    mean: Callable[[Any, Batch], Any]
    penalty: Callable[[Any, Batch], Any] | None = None
    labels: bool = True
    arguments: Mapping[str, Any] = field(default_factory=dict)


def model_inputs(batch: Batch) -> dict[str, Any]:
    """Return the columns of a batch that a model takes."""
    return {name: tensor for name, tensor in batch.items() if name not in (RATIONALE, TEACHER)}


def count_items(batch: Batch) -> int:
    """Return the number of items of a batch's mean loss: labels other than the ignored -100."""
    labels = batch["labels"]
    return int((labels != IGNORED).sum()) if not labels.is_floating_point() else len(labels)


def count_rows(batch: Batch) -> int:
    """Return the number of items of a mean loss over rows."""
    return len(batch["labels"])


def items_of(model: Any) -> Callable[[Batch], int]:
    """Return of how many items of a batch a model's own loss is a mean: rows for CTC, else labels."""
    of_rows = getattr(getattr(model, "config", None), "ctc_loss_reduction", None) == "mean"
    return count_rows if of_rows else count_items


def are_shares(labels: Any) -> bool:
    """Whether labels are shares of each class, (B, C), as mixed examples have them."""
    return bool(labels.ndim == 2 and labels.is_floating_point())


def _own(outputs: Any, batch: Batch) -> Any:
    if outputs.loss is not None:
        return outputs.loss
    import torch

    return torch.nn.functional.cross_entropy(outputs.logits.float(), batch["labels"].to(outputs.logits.device))


OWN = Objective("the model's own loss", count_items, _own)


def objective_for(
    config: LossConfig, names: Sequence[str], labels: Ragged | np.ndarray[Any, Any], adjustment: float = 0.0
) -> Objective:
    """Return the configured objective.

    Args:
        config: Weights, focus, smoothing; with none of them it is the model's own loss.
        names: The classes.
        labels: Of the training rows, numbers into `names`.
        adjustment: The τ of `class_balance`, the strength of the logit adjustment.

    Raises:
        ConfigError: The weights name unknown classes, or the task has no classes to weigh.
    """
    if not (config.class_weights or config.focal_gamma or config.label_smoothing or adjustment):
        return OWN
    flat = labels.values if isinstance(labels, Ragged) else labels
    if not np.issubdtype(flat.dtype, np.integer):
        raise ConfigError(
            "The keys under `loss` are for tasks with classes, but these labels are numbers.",
            "Unset them.",
            id="config.not-for-task",
        )
    weights = None if config.class_weights is None else class_weights(config.class_weights, names, flat)
    shift = adjustment * log_shares(flat.astype(np.int64), len(names)) if adjustment else None
    objective = cross_entropy(weights, config.focal_gamma, config.label_smoothing, shift)
    return replace(objective, name=f"{objective.name}, logits adjusted by {adjustment:g}") if adjustment else objective


def of_function(mean: Callable[[Any, Batch], Any], config: LossConfig) -> Objective:
    """Return the objective of a recipe's or user's own loss.

    Args:
        mean: (outputs, batch) → the mean loss over the items of the batch.
        config: Weights, focus and smoothing, of which none may be set.

    Raises:
        ConfigError: One is.
        RecipeError: When it is called, and `mean` does not return a scalar.
    """
    if config.class_weights or config.focal_gamma or config.label_smoothing or config.logit_adjustment:
        raise ConfigError(
            "`loss.class_weights`, `focal_gamma`, `label_smoothing` and `logit_adjustment` change the usual loss, and "
            "there is a loss of its own.",
            "Unset them, or compute them in that function.",
            id="config.conflict",
        )
    name = str(getattr(mean, "__name__", "a loss of its own"))

    def checked(outputs: Any, batch: Batch) -> Any:
        loss = mean(outputs, batch)
        if getattr(loss, "shape", None) != () or not loss.dtype.is_floating_point:
            given = f"a tensor of shape {tuple(loss.shape)}" if hasattr(loss, "shape") else f"{loss!r:.80}"
            raise RecipeError(
                f"The loss {name} returned {given}.",
                "Return the mean over the batch: a scalar tensor of floating-point numbers.",
                id="recipe.own-part",
            )
        return loss

    return Objective(name, count_items, checked)


def class_weights(wanted: Mapping[str, float] | str, names: Sequence[str], labels: np.ndarray[Any, Any]) -> list[float]:
    """Return the weight of each class.

    Args:
        wanted: "balanced", for rows / (classes × rows of the class), or name → weight, 1 for those not named.
        names: The classes.
        labels: Numbers into `names`; negative ones do not count.

    Raises:
        ConfigError: A name is not one of the classes.
    """
    if not names:
        raise ConfigError(
            "`loss.class_weights` is set, but this task has no classes.", "Unset it.", id="config.not-for-task"
        )
    if isinstance(wanted, str):
        counts = np.bincount(labels[labels >= 0], minlength=len(names))
        present = np.count_nonzero(counts)
        return [float(counts.sum() / (present * count)) if count else 1.0 for count in counts]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        near = difflib.get_close_matches(unknown[0], names, n=1)
        guess = f" Did you mean `{near[0]}`?" if near else ""
        raise ConfigError(
            f"`loss.class_weights` names {', '.join(unknown)}, which is not a class of this data.{guess}",
            f"The classes are {', '.join(names)}.",
            id="config.unknown-class",
        )
    return [float(wanted.get(name, 1.0)) for name in names]


def cross_entropy(
    weights: Sequence[float] | None, gamma: float, smoothing: float, shift: np.ndarray[Any, Any] | None = None
) -> Objective:
    """Return a cross entropy over the model's logits.

    For an item of class y whose probability is p, the loss is

        w[y] (1 - p)^γ × -log p

    and the mean is taken over Σ w[y]. With smoothing ε the target is 1 - ε on y and ε spread over all classes.

    Args:
        weights: Of each class; None is 1 for all.
        gamma: Exponent γ; 0 is plain cross entropy.
        smoothing: ε.
        shift: Added to the logits, (C,).

    Sources: Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5; Szegedy et al. 2016, "Rethinking
    the Inception Architecture", section 7.
    """
    import torch

    table = None if weights is None else torch.tensor(weights)
    added = None if shift is None else torch.tensor(shift, dtype=torch.float32)

    def weight(batch: Batch) -> float:
        if table is None:
            return count_items(batch)
        labels = batch["labels"]
        if are_shares(labels):
            return float((labels.cpu() @ table).sum())
        return float(table[labels[labels != IGNORED].cpu()].sum())

    def mean(outputs: Any, batch: Batch) -> Any:
        logits = outputs.logits.float()
        if added is not None:
            logits = logits + added.to(logits.device)
        if are_shares(batch["labels"]):
            return _of_shares(logits, batch["labels"]) / weight(batch)
        labels = batch["labels"].reshape(-1).to(logits.device)  # (N,)
        logits = logits.reshape(len(labels), -1)  # (N, C)
        losses = torch.nn.functional.cross_entropy(
            logits,
            labels,
            None if table is None else table.to(logits.device),
            ignore_index=IGNORED,
            label_smoothing=smoothing,
            reduction="none",
        )  # (N,), 0 where the label is ignored
        if gamma:
            surely = logits.log_softmax(dim=-1).gather(1, labels.clamp(min=0)[:, None])[:, 0]  # (N,), log p
            losses = losses * (-surely.expm1()).clamp(min=1e-7) ** gamma
        return losses.sum() / weight(batch)

    def _of_shares(logits: Any, shares: Any) -> Any:
        """Sum of the losses of mixed examples: the focal factor is applied to each class by its share."""
        weights = table.to(logits.device) if table is not None else torch.ones_like(logits[0])
        target = (1 - smoothing) * shares + smoothing / logits.shape[1]  # (B, C)
        surely = logits.log_softmax(dim=-1)
        focus = (-surely.expm1()).clamp(min=1e-7) ** gamma if gamma else 1.0
        return -(weights * target * focus * surely).sum()

    return Objective(_name(weights, gamma, smoothing), weight, mean)


def _name(weights: Sequence[float] | None, gamma: float, smoothing: float) -> str:
    parts = [f"focal loss (γ {gamma:g})" if gamma else "cross entropy"]
    parts += ["weighted by class"] if weights is not None else []
    parts += [f"labels smoothed by {smoothing:g}"] if smoothing else []
    return ", ".join(parts)
