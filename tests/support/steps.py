"""Train a random BERT of two layers as one of the processes of a run: `python -m tests.support.steps FOLDER`.

Each case is written as FOLDER/CASE.safetensors (the weights) and FOLDER/CASE.json (what was seen), by rank 0.
"""

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.batching.batch import Features, Ragged, pad
from toolkit.distributed.process_group import Team, joined
from toolkit.training.distributed.sharding import gathered, whole

CASES = {
    "plain": {"batch_size": 8},
    "empty shares": {"batch_size": 1, "epochs": 0.25},
    "memory runs out": {"batch_size": 8},
    "memory runs out in a backward pass": {"batch_size": 8},
    "shared out": {"batch_size": 8, "strategy": "fsdp"},
    "shared out, averaged, in small batches": {
        "batch_size": 8,
        "strategy": "fsdp",
        "micro_batch_tokens": 24,
        "ema_decay": 0.9,
    },
    "shared out, empty shares": {"batch_size": 1, "epochs": 0.25, "strategy": "fsdp"},
}

# gloo can do this with one bucket, and bf16 not at all
COMPRESSED = {"powersgd": {"batch_size": 8, "gradient_compression": "powersgd"}}

CASES["a layer is used now and then"] = {"batch_size": 8}

PAIRS = "pairs of texts, normalised by target tokens"  # lengths differ, so a mean of means would be another step
CASES[PAIRS] = {"batch_size": 8, "micro_batch_size": 3}

RESUMED = {
    "resumed": {"batch_size": 8},
    "resumed, shared out": {"batch_size": 8, "strategy": "fsdp", "ema_decay": 0.9},
}


def data() -> Features:
    """43 texts of 4 to 12 tokens; the second token determines the class."""
    random = np.random.default_rng(0)
    lengths = random.integers(4, 13, 43)
    labels = random.integers(0, 2, 43)
    texts = [
        np.where(np.arange(n) == 1, 3 + 2 * label, random.integers(10, 50, n))
        for n, label in zip(lengths, labels, strict=True)
    ]
    ids = Ragged(np.concatenate(texts).astype(np.int32), np.concatenate([[0], np.cumsum(lengths)]))
    return Features({"input_ids": ids, "labels": labels}, lengths)


def build(seed: int, dropout: float = 0.0) -> Any:
    """A BERT with a layer that nothing uses; weight decay must leave it alone."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(seed)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=16, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, num_labels=2,
        )
    )  # fmt: skip
    model.unused = torch.nn.Linear(3, 3)
    return model


def gated(seed: int) -> Any:
    """A BERT whose second layer is only for texts of the class of the shortest one; a share of a step may have none."""
    import torch

    model = build(seed)
    del model.unused
    row = int(data().lengths.argmin())
    marked = int(data()[row]["input_ids"][1])
    layer = model.bert.encoder.layer[1]
    inner = layer.forward

    def forward(states: Any, *rest: Any, **more: Any) -> Any:
        here = model.marks  # (B,)
        if not here.any():
            return states
        return torch.where(here[:, None, None], inner(states, *rest, **more), states)

    def mark(_module: Any, _inputs: Any, given: Any) -> None:
        model.marks = given["input_ids"][:, 1] == marked

    layer.forward = forward
    model.register_forward_pre_hook(mark, with_kwargs=True)
    return model


def pairs() -> Features:
    """27 sources with targets of 2 to 15 tokens."""
    random = np.random.default_rng(1)
    sides = {}
    for name in ("input_ids", "labels"):
        lengths = random.integers(2, 16, 27)
        tokens = random.integers(3, 50, lengths.sum()).astype(np.int32)
        sides[name] = Ragged(tokens, np.concatenate([[0], np.cumsum(lengths)]))
    return Features(sides, sides["input_ids"].lengths)


def translator(seed: int) -> Any:
    """A Marian of one layer."""
    import torch
    from transformers import MarianConfig, MarianMTModel

    torch.manual_seed(seed)
    return MarianMTModel(
        MarianConfig(
            vocab_size=50, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=32, dropout=0.0,
            pad_token_id=0, eos_token_id=2, decoder_start_token_id=0,
        )
    )  # fmt: skip


def case_of_pairs(team: Team) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train on pairs of texts; return the loss of all of them."""
    from toolkit.inference.predict import predict

    model = translator(seed=team.rank)

    def loss(model: Any) -> dict[str, float]:
        nothing: Any = lambda _outputs, _batch: {}  # noqa: E731
        outcome = predict(model, pairs(), collate_pairs, nothing, batch_size=4, team=team)
        return {"loss": float(outcome.loss or 0)}

    result = fit(model, team, CASES[PAIRS], features=pairs(), collate=collate_pairs, validate=loss)
    return {name: value.clone() for name, value in model.state_dict().items()}, {
        "losses": [v.values["loss"] for v in result.validations],
        "steps": result.steps,
        "said": team.everyones([]),
        "same weights": len(set(team.everyones(_digest(model)))) == 1,
        "same predictions": True,
    }


def collate_pairs(rows: Any) -> dict[str, Any]:
    """Pad."""
    return pad(rows, {"input_ids": 0, "labels": -100})


def collate(rows: Any) -> dict[str, Any]:
    """Pad."""
    return pad(rows, {"labels": -100})


def ask(model: Any, team: Team) -> Any:
    """Predict every row."""
    from toolkit.inference.predict import predict, probabilities

    def extract(outputs: Any, batch: Any) -> dict[str, list[Any]]:
        probs = probabilities(outputs.logits)
        return {"prediction": probs.argmax(-1).tolist(), "probabilities": probs.tolist()}

    return predict(model, data(), collate, extract, batch_size=4, team=team)


def fit(model: Any, team: Team, config: Mapping[str, Any], **more: Any) -> Any:
    """Train with validations."""
    from accelerate import Accelerator

    from tests.support.training import train
    from toolkit.config.settings import TrainingConfig

    usual = {"epochs": 2, "learning_rate": 1e-3, "seed": 0, "weight_decay": 0.5, "evaluate_every": 3}
    calls: dict[str, Any] = {"save": lambda *_: None, "observe": lambda _: None, "higher_is_better": False, **more}
    calls = {"validate": lambda model: {"loss": ask(model, team).loss}, **calls}
    features, stack = calls.pop("features", None) or data(), calls.pop("collate", collate)
    settings = TrainingConfig(**{**usual, **config})
    return train(model, features, stack, settings, Accelerator(cpu=True), team=team, **calls)


def case(name: str, team: Team) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train one case; return the weights and the recorded values."""
    import torch

    notes: list[str] = []
    model = (gated if "now and then" in name else build)(seed=team.rank)  # the main process's weights count
    if name in COMPRESSED:
        del model.unused
    if name == "memory runs out" and team.rank == team.size - 1:
        model.bert.encoder.register_forward_pre_hook(_too_large)
    if name == "memory runs out in a backward pass" and team.rank == team.size - 1:
        model.bert.encoder.register_forward_hook(_too_long)
    result = fit(model, team, {**CASES, **COMPRESSED}[name], say=notes.append)
    weights = {key: whole(value).contiguous() for key, value in model.state_dict().items()}
    with gathered(model):
        if hasattr(model, "unused"):
            torch.testing.assert_close(model.unused.weight, build(seed=0).unused.weight, rtol=0, atol=0)
        shared = ask(model.eval(), team)
        return weights, {
            "losses": [v.values["loss"] for v in result.validations],
            "steps": result.steps,
            "said": team.everyones(notes),
            "same weights": len(set(team.everyones(_digest(model)))) == 1,
            "same predictions": set(map(repr, team.everyones(shared))) == {repr(ask(model, Team()))},
        }


def resumed(team: Team, states: Path, config: Mapping[str, Any]) -> bool:
    """Whether a run with dropout, stopped and resumed, ends like an uninterrupted one, in every process."""
    from toolkit.errors import Interrupted
    from toolkit.training.loop import checkpoint

    undisturbed, begun, later = (build(team.rank, dropout=0.1) for _ in range(3))
    calls: list[None] = []

    def stop() -> bool:
        calls.append(None)
        return len(calls) == 5 and team.rank == team.size - 1  # a request of any process counts

    build(team.rank)  # sets the seed
    fit(undisturbed, team, config)
    build(team.rank)
    try:
        keep = {
            "write_state": partial(checkpoint.write, states),
            "save": lambda _model, step: checkpoint.best_path(states, step).mkdir(parents=True),
        }
        fit(begun, team, config, stop_requested=stop, **keep)
    except Interrupted:
        state = team.from_main(lambda: checkpoint.newest(states)[0])
        assert state.step == 5
        fit(later, team, config, state=state)
    with gathered(later), gathered(undisturbed), gathered(begun):
        return _digest(later) == _digest(undisturbed) != _digest(begun)


def _too_large(module: Any, inputs: tuple[Any, ...]) -> None:
    if module.training and len(inputs[0]) > 1:
        raise RuntimeError("CUDA out of memory, as a test has it")


def _too_long(module: Any, _inputs: Any, outputs: Any) -> None:
    states = outputs[0]  # (B, T, H)

    def fail(_gradient: Any) -> None:
        raise RuntimeError("CUDA out of memory, as a test has it")

    if module.training and states.shape[0] > 1 and states.shape[1] >= 12:
        states.register_hook(fail)


def _digest(model: Any) -> str:
    return repr([float(parameter.double().sum()) for parameter in model.parameters()])


def main() -> None:
    """Train every case."""
    from safetensors.torch import save_file

    folder = Path(sys.argv[1])
    with joined("cpu") as team:
        for name, config in RESUMED.items():
            ended = team.everyones(resumed(team, folder / f"{name} states", config))
            if team.is_main:
                (folder / f"{name}.json").write_text(json.dumps(ended), encoding="utf-8")
        for name in (*CASES, *COMPRESSED):
            weights, facts = case_of_pairs(team) if name == PAIRS else case(name, team)
            if team.is_main:
                save_file(weights, folder / f"{name}.safetensors")
                (folder / f"{name}.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main()
