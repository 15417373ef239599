"""Gradients exchanged while the backward pass goes on: the time of a step in two processes with a slow network.

    python -m benchmarks.overlap                       a layer takes 100 ms, a bucket of gradients 150 ms
    python -m benchmarks.overlap --steps 1             does everything run?
    python -m benchmarks.overlap --table FILE.json     print a written result as a Markdown table

The steps are those of training (`toolkit.training.loop.step`), of a random BERT. Both times are simulated, as waits in
the backward pass of each layer and for each bucket, so that the result depends little on the machine.
"""

import argparse
import json
import os
import queue
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.finetune import RESULTS, ROOT, measure_machine, write

ROWS, TOKENS = 4, 8  # of a step


class Network:
    """Passes on one bucket of gradients after the other in a thread, each after a wait, and sums none.

    Attributes:
        events: ("ready" | "begun" | "ended", seconds) of the buckets of a step.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.events: list[tuple[str, float]] = []
        self._waiting: queue.Queue[tuple[Any, Any]] = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def exchange(self, _state, bucket):  # type: ignore[no-untyped-def]  # torch looks at annotations
        """Communication hook of `DistributedDataParallel`."""
        import torch

        self._note("ready")
        result: Any = torch.futures.Future()
        self._waiting.put((bucket.buffer(), result))
        return result

    def _work(self) -> None:
        while True:
            tensor, result = self._waiting.get()
            self._note("begun")
            time.sleep(self.seconds)
            self._note("ended")
            result.set_result(tensor)

    def _note(self, what: str) -> None:
        self.events.append((what, time.perf_counter()))


def steps(options: argparse.Namespace, exchanging: bool) -> list[dict[str, Any]]:
    """Take some steps as one of the processes; return what was seen of each.

    Args:
        options: Of the command.
        exchanging: Whether exchanges take time.
    """
    import torch
    from accelerate import Accelerator
    from transformers import BertConfig, BertForSequenceClassification

    from toolkit.config.settings import TrainingConfig
    from toolkit.data.batching.batch import Features, Ragged, pad
    from toolkit.distributed.process_group import Team
    from toolkit.training.acceleration.accelerate_model import AcceleratedModel
    from toolkit.training.loop.arguments import TrainingData
    from toolkit.training.loop.step import Forward
    from toolkit.training.loss.objective import OWN

    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=100,
            hidden_size=512,
            num_hidden_layers=options.layers,
            num_attention_heads=8,
            intermediate_size=2048,
        )
    )
    ids = Ragged(np.arange(ROWS * TOKENS, dtype=np.int32), np.arange(ROWS + 1) * TOKENS)
    features = Features({"input_ids": ids, "labels": np.arange(ROWS) % 2}, np.full(ROWS, TOKENS))
    data = TrainingData(features, lambda rows: pad(rows, {"labels": -100}))
    team = Team(torch.distributed.get_rank(), torch.distributed.get_world_size())
    forward = Forward(
        *(model.train(), Accelerator(cpu=True), OWN, data, TrainingConfig(), AcceleratedModel(), print), team=team
    )
    network = Network(options.bucket_ms / 1e3 if exchanging else 0.0)
    forward.module.register_comm_hook(None, network.exchange)
    for layer in model.bert.encoder.layer:
        layer.register_full_backward_hook(lambda *_: time.sleep(options.layer_ms / 1e3))
    share = forward.prepare(features, np.arange(team.rank, ROWS, team.size))
    seen = []
    for step in range(options.steps + 2):  # the first two also prove their size, and arrange the buckets
        network.events.clear()
        team.wait()
        start = time.perf_counter()
        forward.backward(share)
        took = time.perf_counter() - start
        model.zero_grad(set_to_none=True)
        if step >= 2:
            seen.append({"seconds": took, "events": [(what, at - start) for what, at in network.events]})
    return seen


def member(options: argparse.Namespace) -> None:
    """Measure as one of the processes; the main one writes what it saw."""
    from toolkit.distributed.process_group import joined

    with joined("cpu") as team:
        seen = {"without": steps(options, exchanging=False), "with": steps(options, exchanging=True)}
        if team.is_main:
            options.member.write_text(json.dumps(seen), encoding="utf-8")


def summary(seen: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return the times of a step in milliseconds, and how many of the exchanges began before the last gradient."""
    computing, both = (statistics.median(step["seconds"] for step in seen[kind]) for kind in ("without", "with"))
    early, buckets = [], 0
    for step in seen["with"]:
        last = max(at for what, at in step["events"] if what == "ready")
        begun = [at for what, at in step["events"] if what == "begun"]
        early.append(sum(at < last for at in begun))
        buckets = len(begun)
    return {
        "layers": options.layers,
        "buckets": buckets,
        "begun_during_backward": min(early),
        "computation_ms": round(1e3 * computing, 1),
        "communication_ms": round(buckets * options.bucket_ms, 1),
        "step_ms": round(1e3 * both, 1),
    }


def table(record: Mapping[str, Any]) -> str:
    """Return a record as a Markdown table."""
    result = record["result"]
    computing, exchanging = result["computation_ms"], result["communication_ms"]
    return "\n".join(
        [
            "| | ms |",
            "| --- | ---: |",
            f"| computation alone | {computing:.0f} |",
            f"| communication alone, {result['buckets']} buckets | {exchanging:.0f} |",
            f"| one after the other | {computing + exchanging:.0f} |",
            f"| the longer of the two | {max(computing, exchanging):.0f} |",
            f"| **a step** | **{result['step_ms']:.0f}** |",
        ]
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--layer-ms", type=float, default=100.0, help="backward pass of one layer")
    parser.add_argument("--bucket-ms", type=float, default=150.0, help="exchange of one bucket")
    parser.add_argument("--output", type=Path, default=RESULTS / "overlap-cpu.json")
    parser.add_argument("--table", type=Path, metavar="FILE")
    parser.add_argument("--member", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def measure(arguments: Sequence[str]) -> dict[str, Any]:
    """Run two processes with the options of the command; return what the main one saw.

    Raises:
        RuntimeError: They failed.
    """
    from toolkit.distributed import agent

    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "seen.json"
        words = [sys.executable, "-m", "benchmarks.overlap", *arguments, "--member", str(own)]
        if agent.start(words, 2, {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}):
            raise RuntimeError("The processes failed.")
        seen: dict[str, Any] = json.loads(own.read_text(encoding="utf-8"))
        return seen


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    if options.table is not None:
        print(table(json.loads(options.table.read_text(encoding="utf-8"))))  # noqa: T201
        return 0
    if options.member is not None:
        member(options)
        return 0
    seen = measure(arguments)
    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": measure_machine(),
        "result": summary(seen, options),
        "steps": seen["with"],
    }
    print(table(record))  # noqa: T201
    write(record, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
