"""What a linear probe fits to its vectors: one class, several classes, or a number for each row."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Labels = np.ndarray[Any, Any]
Linear = tuple[Doubles, Doubles]  # weight (O, D), bias (O,)

UNSEEN = -5.0  # logit of a class that is not in train, relative to the least likely of the others


@dataclass(frozen=True)
class ProbeKind:
    """A regression on vectors (N, D) with outputs (N, O).

    Attributes:
        figure: Name of its figure in the report.
        unit: Unit of that figure, as of metrics: "fraction" or "score".
        baseline: Title of its predictions as a baseline.
        strengths: Inverse strengths of the L2 penalty that are tried.
        regression: (vectors, labels, inverse strength, number of classes) → weight and bias.
        losses: (outputs, labels) → the loss of each row. Shape (N,).
        value: (outputs, labels) → the figure; a fraction, or R².
        predictions: Outputs → one prediction a row.
        learnable: Labels → whether there is anything to learn.
        error: Name of the mean of `errors`.
        errors: (outputs, labels) → the error of each row, of which a learning curve is the mean. Shape (N,).
    """

    figure: str
    baseline: str
    strengths: Sequence[float]
    regression: Callable[[Doubles, Labels, float, int], Linear]
    losses: Callable[[Doubles, Labels], Doubles]
    value: Callable[[Doubles, Labels], float]
    predictions: Callable[[Any], list[Any]]
    learnable: Callable[[Labels], bool]
    error: str
    errors: Callable[[Doubles, Labels], Doubles]
    unit: str = "fraction"


def standardised(vectors: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Return vectors with mean 0 and deviation 1 in each dimension, the means and the deviations."""
    mean, scale = vectors.mean(axis=0), np.maximum(vectors.std(axis=0), 1e-6)
    return (vectors - mean) / scale, mean, scale


def _one_class(vectors: Doubles, labels: Labels, strength: float, classes: int) -> Linear:
    """Fit a logistic regression; classes without rows get a low bias."""
    scaled, mean, scale = standardised(vectors)
    model = _logistic(scaled, labels, strength)
    weight, bias = np.zeros((classes, vectors.shape[1])), np.full(classes, float(model.intercept_.min()) + UNSEEN)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # one row describes both
        coefficients = np.vstack([-coefficients, coefficients]) / 2
        intercepts = np.hstack([-intercepts, intercepts]) / 2
    weight[model.classes_] = coefficients / scale
    bias[model.classes_] = intercepts - (coefficients / scale) @ mean
    return weight, bias


def _logistic(scaled: Doubles, labels: Labels, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an incompletely converged one is still useful
        return LogisticRegression(C=strength, max_iter=300).fit(scaled, labels)


def _several_classes(vectors: Doubles, labels: Labels, strength: float, classes: int) -> Linear:
    """Fit a logistic regression for each class against the others."""
    scaled, mean, scale = standardised(vectors)
    weight, bias = np.zeros((classes, vectors.shape[1])), np.zeros(classes)
    for number in range(classes):
        share = labels[:, number].mean()
        if share in (0.0, 1.0):
            bias[number] = UNSEEN if share == 0.0 else -UNSEEN
            continue
        model = _logistic(scaled, labels[:, number] > 0.5, strength)
        weight[number] = model.coef_[0] / scale
        bias[number] = model.intercept_[0] - weight[number] @ mean
    return weight, bias


def _number(vectors: Doubles, labels: Labels, strength: float, _classes: int) -> Linear:
    """Fit a ridge regression."""
    scaled, mean, scale = standardised(vectors)
    middle = float(labels.mean())
    gram = scaled.T @ scaled + np.eye(scaled.shape[1]) / strength
    coefficients = np.linalg.solve(gram, scaled.T @ (labels - middle)) / scale
    return coefficients[None], np.array([middle - coefficients @ mean])


def log_likelihoods(logits: Doubles, labels: Integers) -> Doubles:
    """Return the log-likelihood of each row's class, in nats, from logits (N, C). Shape (N,)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    likelihoods: Doubles = shifted[np.arange(len(labels)), labels] - np.log(np.exp(shifted).sum(axis=1))
    return likelihoods


def _binary_losses(logits: Doubles, labels: Labels) -> Doubles:
    losses: Doubles = (np.logaddexp(0.0, logits) - labels * logits).mean(axis=1)
    return losses


def _micro_f1(logits: Doubles, labels: Labels) -> float:
    predicted, true = logits >= 0, labels > 0.5
    both = predicted.sum() + true.sum()
    return float(2 * (predicted & true).sum() / both) if both else 0.0


def _explained(outputs: Doubles, labels: Labels) -> float:
    total = float(((labels - labels.mean()) ** 2).sum())
    return 1.0 - float(((outputs[:, 0] - labels) ** 2).sum()) / total if total else 0.0


def _class_losses(logits: Doubles, labels: Labels) -> Doubles:
    return -log_likelihoods(logits, labels)


def _accuracy(logits: Doubles, labels: Labels) -> float:
    return float((logits.argmax(axis=1) == labels).mean())


def _likeliest(logits: Any) -> list[Any]:
    return [int(number) for number in logits.argmax(axis=1)]


def _has_classes(labels: Labels) -> bool:
    return len(np.unique(labels)) > 1


def _above_half(logits: Any) -> list[Any]:
    return [np.flatnonzero(row).tolist() for row in logits >= 0]


def _has_memberships(labels: Labels) -> bool:
    return bool(((labels > 0.5).any(axis=0) & (labels < 0.5).any(axis=0)).any())


def _squares(outputs: Doubles, labels: Labels) -> Doubles:
    squares: Doubles = (outputs[:, 0] - labels) ** 2
    return squares


def _numbers(outputs: Any) -> list[Any]:
    return [float(value) for value in outputs[:, 0]]


def _varies(labels: Labels) -> bool:
    return bool(np.ptp(labels) > 0)


def _wrong(logits: Doubles, labels: Labels) -> Doubles:
    wrong: Doubles = (logits.argmax(axis=1) != labels).astype(np.float64)
    return wrong


def _wrong_memberships(logits: Doubles, labels: Labels) -> Doubles:
    wrong: Doubles = ((logits >= 0) != (labels > 0.5)).mean(axis=1)
    return wrong


# Functions with names, so that probes can be sent to other processes.
ONE_CLASS = ProbeKind(
    figure="accuracy",
    baseline="Frozen features + logistic regression",
    strengths=(1e-3, 1e-2, 1e-1, 1.0),
    regression=_one_class,
    losses=_class_losses,
    value=_accuracy,
    predictions=_likeliest,
    learnable=_has_classes,
    error="error rate",
    errors=_wrong,
)

SEVERAL_CLASSES = ProbeKind(
    figure="micro F1",
    baseline="Frozen features + logistic regression for each class",
    strengths=(1e-3, 1e-2, 1e-1),
    regression=_several_classes,
    losses=_binary_losses,
    value=_micro_f1,
    predictions=_above_half,
    learnable=_has_memberships,
    error="wrong decisions for a class",
    errors=_wrong_memberships,
)

NUMBER = ProbeKind(
    figure="R²",
    unit="score",
    baseline="Frozen features + ridge regression",
    strengths=(1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    regression=_number,
    losses=_squares,
    value=_explained,
    predictions=_numbers,
    learnable=_varies,
    error="mean squared error",
    errors=_squares,
)
