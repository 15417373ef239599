"""Record what attention really computes inside a model, through transformers' attention interface.

    with recording(model) as records:
        outputs = model(**batch)
    records[0].weights                      # (B, H, T, S) of the first layer that attended

Every model that dispatches its attention through the interface can be recorded, loaded as it is: no layer's name is
known here, and nothing is loaded again. While it is recorded, attention is computed by
`toolkit.attention.reference`; outside the block the model computes as before. The tensors stay in autograd's graph,
so gradients with respect to the weights can be taken.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from toolkit.attention import forms, reference
from toolkit.attention.implementations import sparse
from toolkit.attention.interface import implementation, register, switch
from toolkit.errors import ModelError

NAME = "toolkit-record"

# Terms that some families add to their scores and this recorder cannot compute.
_UNKNOWN = {"softcap": "soft-capped scores", "s_aux": "attention sinks"}


@dataclass(frozen=True)
class Record:
    """One call of attention: one layer, all heads.

    Attributes:
        module: The layer's module.
        query: Shape (B, H, T, D).
        key: Shape (B, H, S, D); heads that share keys have them repeated.
        value: Shape (B, H, S, D).
        scale: Factor of the scores.
        mask: Boolean, True where a query may attend, or additive; broadcasts to (B, H, T, S). None where all may.
        scores: Scaled, not yet masked. Shape (B, H, T, S).
        weights: After the softmax, before dropout. Shape (B, H, T, S).
        output: Shape (B, H, T, D).
    """

    module: Any
    query: Any
    key: Any
    value: Any
    scale: float
    mask: Any
    scores: Any
    weights: Any
    output: Any


@dataclass(frozen=True)
class _Recorder:
    """The current recording, and the forms of attention, when they are sparse."""

    records: list[Record]
    sparse: tuple[forms.Form, ...] | None


_current: ContextVar[_Recorder | None] = ContextVar("recorder", default=None)


@contextmanager
def recording(model: Any) -> Iterator[list[Record]]:
    """Within the block, keep what each call of attention computes, in the order of the calls.

    Args:
        model: A transformers model, on any device.

    Raises:
        ModelError: The model does not dispatch its attention through the interface.
    """
    before = implementation(model)
    register(NAME, _attend, _mask)
    switch(model, NAME)
    records: list[Record] = []
    token = _current.set(_Recorder(records, sparse.used_by(before)))
    try:
        yield records
    finally:
        _current.reset(token)
        switch(model, before)


def _mask(*arguments: Any, **settings: Any) -> Any:
    """Make the boolean mask that transformers makes for SDPA, and never leave it out."""
    from transformers.masking_utils import sdpa_mask

    return sdpa_mask(*arguments, **{**settings, "allow_is_causal_skip": False, "allow_is_bidirectional_skip": False})


def _attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    position_bias: Any = None,
    **others: Any,
) -> tuple[Any, Any]:
    """Compute what transformers' eager attention computes, and keep it.

    Returns:
        The output, shape (B, T, H, D), and the weights, shape (B, H, T, S).
    """
    import torch

    for name, what in _UNKNOWN.items():
        if others.get(name) is not None:
            raise ModelError(
                f"{type(module).__name__} uses {what}, which cannot be recorded.",
                "Use another model.",
                id="model.attention-unsupported",
            )
    scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    key, value = (reference.share_keys(heads, query.shape[1]) for heads in (key, value))
    recorder = _current.get()
    if recorder is not None and recorder.sparse is not None:
        form, layer = sparse.form_for(module, recorder.sparse)
        attention_mask = forms.allowed(form, layer, query, key, attention_mask[:, 0, 0])
    steps = reference.scaled_dot_product(query, key, value, mask=attention_mask, bias=position_bias, scale=scale)
    output = steps.output
    if dropout and module.training:
        output = torch.nn.functional.dropout(steps.weights, dropout) @ value
    if recorder is not None:
        recorder.records.append(
            Record(module, query, key, value, scale, attention_mask, steps.scores, steps.weights, output)
        )
    return output.transpose(1, 2).contiguous(), steps.weights
