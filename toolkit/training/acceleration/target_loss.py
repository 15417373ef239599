"""A sequence-to-sequence model's loss computed from its target tokens alone, for CPUs.

A model alone also computes logits of padding, copies them into 32 bits, and creates two more tensors as large for
the loss and its gradient. With a vocabulary of 32,000 that is a tenth of a step. Here the output layer gets the
hidden states h (N, H) of the N target tokens, and their logits are replaced by their gradient in place, some
rows at a time:

    logits     z = h Wᵀ + b                       (N, V)
    loss       mean over N of log Σ exp z − z[y]
    gradient   (softmax z − onehot y) / N         (N, V), written over z
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from toolkit import models
from toolkit.training.acceleration import patching
from toolkit.training.loss.objective import IGNORED

_ROWS = 32  # rows whose logits are computed at a time, to fit into the processor's cache
_TOLERANCE = 1e-4  # relative to the model's own loss


class TargetLoss:
    """Computes the loss of one model; called with a batch on the model's device, it returns a scalar with a gradient.

    The labels go directly to the output layer; the model gets the decoder's inputs instead.
    """

    def __init__(self, model: Any, head: Any) -> None:
        self.model = model
        self.head = head
        self.labels: Any = None
        self.loss: Any = None

    def __call__(self, called: Any, inputs: Mapping[str, Any]) -> Any:
        """Return the mean loss over the labels that count.

        Args:
            called: The model prepared for precision and device.
            inputs: "labels" (B, T), and what else the model takes.
        """
        inputs = dict(inputs)
        self.labels = inputs.pop("labels")
        try:
            called(**inputs, decoder_input_ids=_shifted(self.model, self.labels))
            return self.loss
        finally:
            self.labels = self.loss = None

    def output(self, hidden_states: Any) -> Any:
        """Compute the loss instead of logits: (B, T, H) → (1, 1, 1), which is not read."""
        import torch

        weight, bias = self.head.weight, self.head.bias
        own = getattr(self.model, "final_logits_bias", None)  # of Marian and BART, which add it afterwards
        if own is not None:
            bias = own[0] if bias is None else bias + own[0]
        real = self.labels != IGNORED  # (B, T)
        if torch.is_autocast_enabled("cpu"):
            kind = torch.get_autocast_dtype("cpu")
            hidden_states, weight = hidden_states.to(kind), weight.to(kind)
        self.loss = _function().apply(hidden_states[real], weight, bias, self.labels[real])
        return hidden_states.new_zeros(1, 1, 1)


class _Forward:
    """The forward pass of the output layer: its own, unless the loss is computed."""

    def __init__(self, loss: TargetLoss) -> None:
        self.loss = loss

    def __call__(self, hidden_states: Any) -> Any:
        if self.loss.labels is None:
            return type(self.loss.head).forward(self.loss.head, hidden_states)
        return self.loss.output(hidden_states)


@contextmanager
def of_targets(model: Any, batch: Mapping[str, Any]) -> Iterator[TargetLoss | None]:
    """Let a model's loss be computed from its target tokens while the block lasts; yield None where it cannot.

    Args:
        model: On its device; given back as it was.
        batch: A real one on the CPU, on which the loss must equal the model's own.
    """
    import torch

    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    fit = (
        getattr(getattr(model, "config", None), "is_encoder_decoder", False)
        and type(head) is torch.nn.Linear
        and head.weight.device.type == "cpu"
        and "labels" in batch
    )
    if not fit:
        yield None
        return
    loss = TargetLoss(model, head)
    patching.put(head, _Forward(loss))
    try:
        yield loss if _agrees(model, loss, batch) else None
    finally:
        patching.take_away(head, _Forward)


def _shifted(model: Any, labels: Any) -> Any:
    """Return the decoder's inputs: the labels shifted by one to the right, (B, T)."""
    own = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if own is not None:
        return own(labels=labels)
    start, padding = model.config.decoder_start_token_id, model.config.pad_token_id  # as of M2M100 and NLLB
    shifted = labels.roll(1, dims=1)
    shifted[:, 0] = start
    return shifted.masked_fill(shifted == IGNORED, padding)


def _agrees(model: Any, loss: TargetLoss, batch: Mapping[str, Any]) -> bool:
    """Whether the loss is the model's own; one that cannot be computed at all is not."""
    try:
        with models.plainly(model):
            own, ours = model(**batch).loss, loss(model, batch)
    except Exception:  # on any failure the model trains unchanged
        return False
    return bool((own - ours).abs() <= _TOLERANCE * own.abs())


_FUNCTION: list[Any] = []


def _function() -> Any:
    """Return the autograd function, made once torch is needed."""
    if not _FUNCTION:
        import torch

        class CrossEntropy(torch.autograd.Function):
            """(h, W, b, y) ↦ mean of log Σ exp(h Wᵀ + b) − (h Wᵀ + b)[y]."""

            @staticmethod
            def forward(context: Any, states: Any, weight: Any, bias: Any, labels: Any) -> Any:
                logits = torch.nn.functional.linear(states, weight)  # (N, V)
                losses = []
                for start in range(0, len(labels), _ROWS):
                    rows, wanted = logits[start : start + _ROWS], labels[start : start + _ROWS, None]
                    z = rows.float() if bias is None else rows + bias.float()  # (n, V)
                    right = z.gather(1, wanted)
                    total = z.logsumexp(dim=1, keepdim=True)
                    losses.append(total - right)
                    z.sub_(total).exp_().scatter_add_(1, wanted, -torch.ones_like(right))
                    rows.copy_(z)
                context.save_for_backward(states, weight, logits)
                return torch.cat(losses).mean()

            @staticmethod
            def backward(context: Any, gradient: Any) -> Any:
                states, weight, slopes = context.saved_tensors
                factor = gradient / len(slopes)
                needs_states, needs_weight, needs_bias, _ = context.needs_input_grad
                of_states = (slopes @ weight) * factor.to(weight.dtype) if needs_states else None
                of_weight = slopes.t() @ (states * factor.to(states.dtype)) if needs_weight else None
                of_bias = slopes.sum(dim=0, dtype=torch.float32) * factor if needs_bias else None
                return of_states, of_weight, of_bias, None

        _FUNCTION.append(CrossEntropy)
    return _FUNCTION[0]
