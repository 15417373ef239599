"""This toolkit, through its command line, with its defaults and --tune-speed.

Only the settings of the task are set, the points of the curve, and no early stopping, so that all take the
same steps; the time that measuring the precision takes counts, once for each machine. The toolkit delivers the best of
its validated states; the others deliver their last.
"""

import json
import sys
from pathlib import Path

from benchmarks.contenders.clock import Clock
from benchmarks.contenders.common import Outcome, main
from benchmarks.task import Task


def contend(task: Task, _variant: str) -> Outcome:
    """Run `toolkit finetune sentiment` in this process and read the run directory."""
    from toolkit.cli import main as command_line

    run = Path(task.data).parent / f"run-{task.seed}"
    settings = {
        "training.schedule": "linear",
        "training.warmup_fraction": task.warmup_fraction,
        "training.weight_decay": task.weight_decay,
        "training.evaluate_every": task.evaluate_every,
        "training.tune_speed": True,
        "training.early_stopping_patience": "null",
        "training.device": "cpu",
    }
    options = {
        "--model": task.model,
        "--data": task.data,
        "--output": run,
        "--epochs": task.epochs,
        "--batch-size": task.batch_size,
        "--learning-rate": task.learning_rate,
        "--max-length": task.max_length,
        "--seed": task.seed,
    }
    sys.argv = ["toolkit", "--debug", "finetune", "sentiment"]
    sys.argv += [str(word) for option in options.items() for word in option]
    sys.argv += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    clock = Clock(task.steps, task.evaluate_every)
    try:
        command_line()
    except SystemExit as ended:  # the command line ends the process
        if ended.code:
            raise
    return Outcome(clock, _curve(run), _accuracy(run, task))


def _curve(run: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return {line["step"]: line["accuracy"] for line in lines if line["event"] == "validation"}


def _accuracy(run: Path, task: Task) -> float:
    """Compare the run's predictions with the labels of the task's own file."""
    import pyarrow.parquet as pq

    _, labels = task.rows("test")
    predictions: list[int] = pq.read_table(run / "predictions.parquet")["prediction"].to_pylist()
    return sum(a == b for a, b in zip(predictions, labels, strict=True)) / len(labels)


if __name__ == "__main__":
    main(contend, ("torch", "transformers", "accelerate"))
