"""The loss of a student against its formula, written out with NumPy."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support import models
from toolkit.attention.record import recording
from toolkit.config.distillation import DistillationConfig
from toolkit.training.loss import distillation
from toolkit.training.loss.objective import OWN, TEACHER, model_inputs


def softmax(values):
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


numbers = st.lists(st.lists(st.floats(-8, 8), min_size=3, max_size=3), min_size=2, max_size=2)


@given(ours=numbers, theirs=numbers, temperature=st.floats(0.5, 20))
def test_soft_targets(ours, theirs, temperature):
    p, q = softmax(np.array(theirs) / temperature), softmax(np.array(ours) / temperature)
    wanted = temperature**2 * (p * np.log(p / q)).sum(axis=1).mean()
    found = distillation.soft_loss(torch.tensor(ours), torch.tensor(theirs), temperature)
    assert float(found) == pytest.approx(wanted, abs=1e-3, rel=1e-3)


def test_logarithms_of_probabilities_serve_as_logits():
    ours, theirs = torch.randn(4, 3), torch.randn(4, 3)
    known = theirs.softmax(dim=-1).log()
    torch.testing.assert_close(
        distillation.soft_loss(ours, known, 3.0), distillation.soft_loss(ours, theirs, 3.0), atol=1e-5, rtol=1e-4
    )


def test_hidden_states_of_padding_do_not_count():
    ours, theirs = torch.randn(2, 4, 5), torch.randn(2, 4, 5)
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0]])
    a, b = ours.numpy(), theirs.numpy()
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    wanted = (1 - cosine)[mask.numpy() == 1].mean()
    assert float(distillation.hidden_loss(ours, theirs, mask)) == pytest.approx(wanted, abs=1e-5)
    theirs[0, 2:] = 7.0
    assert float(distillation.hidden_loss(ours, theirs, mask)) == pytest.approx(wanted, abs=1e-5)
    assert float(distillation.hidden_loss(ours, 3 * ours, None)) == pytest.approx(0, abs=1e-6)


def record(kinds):
    return SimpleNamespace(**{name: torch.tensor(kinds[name]) for name in ("query", "key", "value")})


def test_relations_of_models_of_different_widths():
    draw = np.random.default_rng(0)
    ours = {kind: draw.normal(size=(1, 2, 3, 2)) for kind in ("query", "key", "value")}  # 2 heads of 2
    theirs = {kind: draw.normal(size=(1, 2, 3, 4)) for kind in ("query", "key", "value")}  # 2 heads of 4
    parts = []
    for kind in ("query", "key", "value"):
        p, q = (softmax(x[kind] @ np.swapaxes(x[kind], -1, -2) / np.sqrt(x[kind].shape[-1])) for x in (theirs, ours))
        parts.append((p * np.log(p / q)).sum(axis=-1).mean())
    found = distillation.relation_loss(record(ours), record(theirs), None)
    assert float(found) == pytest.approx(np.mean(parts), rel=1e-4)


def test_relations_with_padding_do_not_count():
    draw = np.random.default_rng(0)
    ours, theirs = ({k: draw.normal(size=(2, 2, 4, 2)) for k in ("query", "key", "value")} for _ in range(2))
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    before = float(distillation.relation_loss(record(ours), record(theirs), mask))
    for kind in theirs:
        theirs[kind][0, :, 2:] = 5.0
    assert float(distillation.relation_loss(record(ours), record(theirs), mask)) == pytest.approx(before, rel=1e-6)
    assert before > 0


def labelled(family):
    model, batch = models.make(family)
    rows = len(batch["input_ids"])
    return model.eval(), {**batch, "labels": torch.arange(rows) % 2}


def test_objective_adds_its_parts():
    student, batch = labelled("bert")
    teacher, _ = models.make("bert")
    teacher.eval()
    for parameter in teacher.parameters():
        parameter.data = parameter.data + 0.05
    batch[TEACHER] = torch.randn(len(batch["labels"]), student.config.num_labels).log_softmax(dim=-1)

    def total(**weights):
        config = DistillationConfig(**{"soft": 0, "hard": 0, "hidden": 0, **weights})
        objective = distillation.distilled(OWN, config, teacher)
        with torch.no_grad(), recording(student) as records:
            outputs = student(**model_inputs(batch), **objective.arguments)
            loss = objective.mean(outputs, batch)
            return float(loss if objective.penalty is None else loss + objective.penalty(records, batch))

    parts = [total(soft=1), total(hard=1), total(hidden=1), total(relations=1)]
    assert all(part > 0 for part in parts)
    assert total(soft=1, hard=2, hidden=3, relations=4) == pytest.approx(np.dot(parts, [1, 2, 3, 4]), rel=1e-4)


def test_objective_of_its_own_teacher_has_no_distance():
    model, batch = labelled("bert")
    with torch.no_grad():
        batch[TEACHER] = model(**batch).logits.log_softmax(dim=-1)
        config = DistillationConfig(soft=1, hard=0, hidden=1)
        objective = distillation.distilled(OWN, config, model)
        outputs = model(**model_inputs(batch), **objective.arguments)
        assert float(objective.mean(outputs, batch)) == pytest.approx(0, abs=1e-5)


def test_micro_batches_add_up_to_the_mean_of_the_batch():
    student, batch = labelled("bert")
    batch[TEACHER] = torch.randn(len(batch["labels"]), student.config.num_labels)
    objective = distillation.distilled(OWN, DistillationConfig(), None)

    def loss(rows):
        part = {name: values[rows] for name, values in batch.items()}
        with torch.no_grad():
            return float(objective.mean(student(**model_inputs(part)), part)), objective.weight(part)

    whole, _ = loss(slice(None))
    halves = [loss(slice(0, 1)), loss(slice(1, None))]
    assert sum(value * weight for value, weight in halves) / sum(w for _, w in halves) == pytest.approx(whole, rel=1e-4)


def test_name_has_every_part_with_its_weight():
    name = distillation.distilled(OWN, DistillationConfig(layers=2, relations=0.25), None).name
    assert "0.5 × the model's own loss" in name
    assert "1 × soft targets at temperature 2" in name
    assert "1 × distance of the hidden states" in name
    assert "0.25 × distance of the attention relations" in name
