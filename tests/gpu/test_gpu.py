"""The command on GPUs: automatic bf16, one process for each GPU, and a resumed run."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import checkpoints
from tests.support.cli import environment, start, toolkit
from toolkit.distributed import launcher as distributed_launcher

COMMON = (
    "--model", checkpoints.TINY, "--data", "reviews.csv", "--batch-size", "8", "--output", "run",
    "--set", "evaluation.baselines=false", "--set", "training.evaluate_every=20", "--learning-rate", "1e-3",
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    checkpoints.reviews(tmp_path / "reviews.csv", 400)
    return tmp_path


def facts(run: Path) -> dict:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))["training"]


def validation_losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line["loss"] for line in lines if line["event"] == "validation"]


def test_counting_gpus_initializes_none() -> None:
    program = "import torch; from toolkit.distributed.launcher import count_gpus as count;"
    program += "print(count(), torch.cuda.is_initialized())"
    output = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert int(output[0]) >= 1
    assert output[1] == "False"


def test_command_learns_on_gpu_in_bf16(place: Path) -> None:
    import torch

    outcome = toolkit("finetune", "sentiment", *COMMON, "--epochs", "3", "--num-processes", "1", cwd=place)
    assert outcome.code == 0, outcome.text
    expected = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    assert (facts(place / "run")["device"], facts(place / "run")["precision"]) == ("cuda", expected)
    report = json.loads((place / "run" / "report.json").read_text(encoding="utf-8"))
    accuracy = next(m for m in report["evaluation"]["metrics"] if m["name"] == "accuracy")
    assert accuracy["value"] > 0.9
    assert toolkit("evaluate", "run", cwd=place).code == 0


def test_gpu_and_cpu_take_the_same_steps(place: Path) -> None:
    plain = ("--epochs", "1", "--set", "training.dropout=0", "--set", "training.precision=fp32", "--num-processes", "1")
    for device in ("cpu", "cuda"):
        more = ("--output", device, "--set", f"training.device={device}")
        outcome = toolkit("finetune", "sentiment", *COMMON, *plain, *more, cwd=place)
        assert outcome.code == 0, outcome.text
    assert validation_losses(place / "cuda") == pytest.approx(validation_losses(place / "cpu"), rel=0.02, abs=0.002)


def made(hidden_size: int = 64):
    """A random BERT on the GPU, and batches of texts of different lengths."""
    import numpy as np
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from toolkit.data.batching.batch import pad

    torch.manual_seed(0)
    sizes = {"hidden_size": hidden_size, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    config = BertConfig(vocab_size=200, num_labels=2, attention_probs_dropout_prob=0.0, **sizes)
    draw = np.random.default_rng(0)
    rows = [{"input_ids": draw.integers(5, 200, n), "labels": n % 2} for n in (5, 31, 9, 64, 9, 17, 3, 40)]
    return BertForSequenceClassification(config).cuda(), pad(rows, {"input_ids": 0})


@pytest.mark.parametrize("hidden_size", [64, 40])  # heads as wide as the kernel for packed sequences takes, or not
def test_a_packed_batch_computes_what_the_padded_one_does_in_bf16(hidden_size: int) -> None:
    import torch

    from toolkit.attention.implementations import packed

    if not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("no bf16 in hardware")
    model, inputs = made(hidden_size)
    model.eval()
    moved = {name: tensor.cuda() for name, tensor in inputs.items()}

    def outcome() -> tuple[Any, Any]:
        model.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            outputs = model(**moved)
        outputs.loss.backward()
        return outputs.logits.detach().float(), torch.cat([p.grad.flatten() for p in model.parameters()])

    logits, gradient = outcome()
    with packed.unpadded(model, inputs) as packing:
        assert packing is not None
        with packing.batch(inputs, "cuda"):
            packed_logits, packed_gradient = outcome()
    torch.testing.assert_close(packed_logits, logits, rtol=0.05, atol=0.02)
    assert torch.nn.functional.cosine_similarity(packed_gradient, gradient, dim=0) > 0.99


def test_no_step_waits_for_the_device() -> None:
    """Between the first steps and the last, where losses are read, nothing makes the host wait."""
    import numpy as np
    import torch

    from tests.support.training import train
    from toolkit.config.settings import TrainingConfig
    from toolkit.data.batching.batch import Features, Ragged, pad
    from toolkit.training.distributed.devices import accelerator_for

    lengths = np.arange(96) % 40 + 4
    flat = np.random.default_rng(0).integers(5, 200, lengths.sum()).astype(np.int32)
    columns = {"input_ids": Ragged(flat, np.concatenate([[0], np.cumsum(lengths)])), "labels": np.arange(96) % 2}
    config = TrainingConfig(epochs=1, batch_size=8, learning_rate=1e-4, device="cuda")
    watched = []

    def watch(step: int, _loss: Any) -> None:
        watched.append(step)
        torch.cuda.set_sync_debug_mode({3: "error", 11: "default"}.get(step, torch.cuda.get_sync_debug_mode()))

    precision = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    try:
        train(
            made()[0], Features(columns, lengths), lambda rows: pad(rows, {"input_ids": 0}), config,
            accelerator_for(config, precision), validate=lambda _model: {"loss": 0.0}, save=lambda _model, _step: None,
            higher_is_better=False, observe=lambda _event: None, after_step=watch,
        )  # fmt: skip
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert watched == list(range(1, 13))


def test_stopped_run_is_resumed(place: Path) -> None:
    process = start("finetune", "sentiment", *COMMON, "--epochs", "20", "--num-processes", "1", cwd=place)
    deadline = time.monotonic() + 120
    while not list(place.glob("run/checkpoints/step-*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    outcome = toolkit("finetune", "sentiment", *COMMON, "--epochs", "20", "--num-processes", "1", "--resume", cwd=place)
    assert outcome.code == 0, outcome.text
    assert "from step" in outcome.err


@pytest.mark.parametrize(
    "launcher",
    [("torch.distributed.run", "--nproc-per-node", "1"), ("accelerate.commands.launch", "--num_processes", "1")],
)
def test_launcher_with_one_process_is_respected(launcher: tuple[str, ...], place: Path) -> None:
    command = [sys.executable, "-m", *launcher, "-m", "toolkit", "finetune", "sentiment", *COMMON, "--epochs", "1"]
    done = subprocess.run(command, cwd=place, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert facts(place / "run")["processes"] == 1


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_all_gpus_are_used_with_the_same_steps(strategy: str, place: Path, gpus: int) -> None:
    if gpus < 2:
        pytest.skip("one CUDA device")
    plain = ("--epochs", "1", "--set", "training.dropout=0", "--set", "training.precision=fp32")
    for output, more in (("all", ("--strategy", strategy)), ("one", ("--num-processes", "1"))):
        outcome = toolkit("finetune", "sentiment", *COMMON, *plain, "--output", output, *more, cwd=place)
        assert outcome.code == 0, outcome.text
    assert facts(place / "all")["processes"] == distributed_launcher.count_gpus()
    assert facts(place / "one")["processes"] == 1
    assert facts(place / "all")["steps"] == facts(place / "one")["steps"]
    assert validation_losses(place / "all") == pytest.approx(validation_losses(place / "one"), rel=0.02, abs=0.002)


def test_more_processes_than_gpus_are_refused(place: Path, gpus: int) -> None:
    outcome = toolkit("finetune", "sentiment", *COMMON, "--num-processes", str(gpus + 1), cwd=place)
    assert outcome.code == 2
    assert f"{gpus + 1} processes need as many GPUs" in outcome.err


@pytest.mark.parametrize("name", ["sliding-window:256", "block-sparse:64:3", "top-blocks:64:8", "top-k:32"])
def test_sparse_attention_on_gpu_equals_the_mask(name: str) -> None:
    import torch

    from toolkit.attention import forms
    from toolkit.attention.implementations import flex, sparse

    torch.manual_seed(0)
    (form,) = forms.parse(name)
    tensors = [torch.randn(2, 4, 1100, 64, device="cuda", requires_grad=True) for _ in range(3)]
    real = torch.arange(1100, device="cuda") < torch.tensor([[1100], [700]], device="cuda")
    assert flex.suits(tensors[0])
    rows = real[:, None, :, None]
    result = sparse.attention(form, 1, *tensors, real) * rows
    mask = forms.allowed(form, 1, tensors[0], tensors[1], real)
    expected = torch.nn.functional.scaled_dot_product_attention(*tensors, attn_mask=mask) * rows
    torch.testing.assert_close(result, expected, atol=2e-2, rtol=2e-2)
    for ours, theirs in zip(
        torch.autograd.grad(result.square().sum(), tensors),
        torch.autograd.grad(expected.square().sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=5e-2, rtol=5e-2)
