"""A linear probe: logistic regression on the features of a pretrained model before it is fine-tuned.

    inputs → backbone (pretrained) → one vector for each example, or for each word → logistic regression

The probe takes one forward pass over some of the rows, measures the checkpoint without fine-tuning, and is
the start of fine-tuning: the model's last layer is set to its weights, so that training does not first distort the
backbone to fit random ones.

Source: Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution",
section 3.4 (LP-FT).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toolkit.data.batching.batch import Integers
from toolkit.environment import one_blas_thread
from toolkit.training.adaptation import mean_pooling, probe_kinds
from toolkit.training.adaptation.feature_vectors import HEAD, MEAN, Floats, Vectors
from toolkit.training.adaptation.probe_kinds import Labels, ProbeKind
from toolkit.training.loss import class_balance

Doubles = np.ndarray[Any, np.dtype[np.float64]]

ROWS = 2000  # maximum number of training examples; for more classes than 40, 50 for each
_ROWS_PER_CLASS = 50
_FOLDS = 5


@dataclass(frozen=True)
class Probe:
    """A fitted regression.

    Attributes:
        pooling: Which vectors it reads.
        weight: Shape (C, D).
        bias: Shape (C,).
        loss: Mean loss of the validation vectors; of classes in nats.
        accuracy: Its figure on the validation vectors: of one class the share that it finds.
        cross_validated_loss: Like `loss`, of all rows, each predicted by a regression on the other folds.
        adjustment: Strength of the logit adjustment, the τ of `class_balance`.
        kind: What it predicts.
    """

    pooling: str
    weight: Floats
    bias: Floats
    loss: float
    accuracy: float
    cross_validated_loss: float
    adjustment: float = 0.0
    kind: ProbeKind = probe_kinds.ONE_CLASS

    def predictions(self, vectors: Floats) -> list[Any]:
        """Return the prediction for each vector (N, D)."""
        return self.kind.predictions(vectors @ self.weight.T + self.bias)


def in_words(pooling: str) -> str:
    """Name what a probe reads in a sentence."""
    return "the mean of all tokens" if pooling == MEAN else f"the {pooling}"


def rows_for(classes: int) -> int:
    """Return how many rows the probe learns from at most."""
    return max(ROWS, _ROWS_PER_CLASS * classes)


@one_blas_thread()
def fit(
    train: Vectors,
    validation: Vectors,
    classes: int,
    seed: int = 0,
    balance: bool = False,
    kind: ProbeKind = probe_kinds.ONE_CLASS,
) -> list[Probe]:
    """Fit regressions, one for each pooling, the penalty chosen by cross-validation; that with the least loss first.

    A validation part of a hundred rows cannot distinguish poolings that differ by five points, so the order and the
    penalties follow the loss of held-out folds of all rows. The probes are trained on `train` only.

    Args:
        train: The training vectors.
        validation: The vectors of their `loss` and `accuracy`.
        classes: How many there are; those not in train get a low bias.
        seed: Of the folds.
        balance: Whether to determine the strength of a logit adjustment.
        kind: What is predicted.
    """
    if not kind.learnable(train.labels) or not len(validation):
        return []
    labels = np.concatenate([train.labels, validation.labels])
    probes = []
    for name, vectors in train.by_pooling.items():
        rows = np.concatenate([vectors, validation.by_pooling[name]])
        strength, loss, out_of_fold = choose_penalty(rows, labels, classes, seed, kind)
        weight, bias = kind.regression(vectors.astype(np.float64), train.labels, strength, classes)
        outputs = validation.by_pooling[name] @ weight.T + bias  # (N, C)
        probes.append(
            Probe(
                name,
                weight.astype(np.float32),
                bias.astype(np.float32),
                loss=float(kind.losses(outputs, validation.labels).mean()),
                accuracy=kind.value(outputs, validation.labels),
                cross_validated_loss=loss,
                adjustment=class_balance.choose(out_of_fold, labels, seed) if balance else 0.0,
                kind=kind,
            )
        )
    return sorted(probes, key=lambda probe: probe.cross_validated_loss)


@one_blas_thread()
def regression(vectors: Floats, labels: Integers, classes: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Return weight (C, D) and bias (C,) of a logistic regression whose penalty is chosen by cross-validation.

    Args:
        vectors: Shape (N, D).
        labels: Class numbers. Shape (N,).
        classes: How many there are; those not in `labels` get a low bias.
        seed: Of the folds.
    """
    kind = probe_kinds.ONE_CLASS
    if not kind.learnable(labels):
        constant = np.where(np.isin(np.arange(classes), labels), 0.0, probe_kinds.UNSEEN)
        return np.zeros((classes, vectors.shape[1]), np.float32), constant.astype(np.float32)
    strength, _, _ = choose_penalty(vectors, labels, classes, seed, kind)
    weight, bias = kind.regression(vectors.astype(np.float64), labels, strength, classes)
    return weight.astype(np.float32), bias.astype(np.float32)


@one_blas_thread()
def choose_penalty(
    vectors: Floats, labels: Labels, classes: int, seed: int, kind: ProbeKind
) -> tuple[float, float, Doubles]:
    """Return the inverse strength of the penalty with the least cross-validated loss, that loss, outputs of folds."""
    folds = np.random.default_rng([seed, 3]).integers(_FOLDS, size=len(labels))
    tried = {strength: _cross_validated(vectors, labels, folds, strength, classes, kind) for strength in kind.strengths}
    strength = min(tried, key=lambda strength_tried: tried[strength_tried][0])
    return strength, *tried[strength]


def _cross_validated(
    vectors: Floats, labels: Labels, folds: Integers, strength: float, classes: int, kind: ProbeKind
) -> tuple[float, Doubles]:
    """Return (mean loss, outputs (N, O)) of each fold by a regression on the others."""
    outputs: Doubles | None = None
    for fold in np.unique(folds):
        held_out = folds == fold
        if kind.learnable(labels[~held_out]):
            weight, bias = kind.regression(vectors[~held_out].astype(np.float64), labels[~held_out], strength, classes)
            outputs = np.zeros((len(labels), len(bias))) if outputs is None else outputs
            outputs[held_out] = vectors[held_out] @ weight.T + bias
    outputs = np.zeros((len(labels), classes)) if outputs is None else outputs
    return float(kind.losses(outputs, labels).mean()), outputs


@one_blas_thread()
def out_of_fold(
    train: Vectors, folds: Integers, classes: int, kind: ProbeKind, seed: int, most: int
) -> tuple[str, Doubles] | None:
    """Return the pooling with the least loss, and for each vector the outputs of a regression on the other folds.

    Args:
        train: The vectors.
        folds: Number of each vector's fold, from which its regression does not learn. Shape (N,).
        classes: How many there are.
        kind: What is predicted.
        seed: Of the choice of some of very many vectors.
        most: Vectors that a regression learns from at most.

    Returns:
        The name of the pooling, and outputs (N, O); None where there is nothing to learn.
    """
    if not kind.learnable(train.labels):
        return None
    random = np.random.default_rng([seed, 6])
    order = random.permutation(len(train))
    some = np.sort(order[:most])  # decides on pooling and penalty
    tried = {
        (name, strength): _cross_validated(vectors[some], train.labels[some], folds[some], strength, classes, kind)
        for name, vectors in train.by_pooling.items()
        for strength in kind.strengths
    }
    name, strength = min(tried, key=lambda choice: tried[choice][0])
    if len(some) == len(train):
        return name, tried[name, strength][1]
    outputs: Doubles | None = None
    vectors = train.by_pooling[name]
    for fold in np.unique(folds):
        learned = np.sort(order[folds[order] != fold][:most])
        if not kind.learnable(train.labels[learned]):
            continue  # logits of zero, as where few rows are cross-validated
        weight, bias = kind.regression(vectors[learned].astype(np.float64), train.labels[learned], strength, classes)
        outputs = np.zeros((len(train), len(bias))) if outputs is None else outputs
        outputs[folds == fold] = vectors[folds == fold] @ weight.T + bias
    return None if outputs is None else (name, outputs)


def install(layer: Any, probe: Probe) -> None:
    """Set a model's last layer to the weights of a probe of its inputs."""
    set_weights(layer, probe.weight, probe.bias)


def set_weights(layer: Any, weight: Floats, bias: Floats) -> None:
    """Set a linear layer to weight (C, D) and bias (C,)."""
    import torch

    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        if layer.bias is not None:
            layer.bias.copy_(torch.from_numpy(bias))


def balanced(probe: Probe, shift: Doubles) -> Probe:
    """Return a probe whose logits lack `shift` (C,)."""
    return replace(probe, bias=(probe.bias - shift).astype(np.float32))


def standardized(probe: Probe, mean: float, deviation: float) -> Probe:
    """Return a probe of numbers as one of (numbers - mean) / deviation."""
    bias = ((probe.bias - mean) / deviation).astype(np.float32)
    return replace(probe, weight=(probe.weight / deviation).astype(np.float32), bias=bias)


def scaled(probe: Probe, pooled: mean_pooling.Pooled) -> Probe:
    """Return a probe of the normalised mean as one of what reaches the output layer of a model that pools by it."""
    weight = probe.weight / pooled.scale
    return replace(probe, pooling=HEAD, weight=weight, bias=probe.bias - pooled.shift * weight.sum(axis=1))
