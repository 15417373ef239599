"""Training and translating side by side with transformers' Seq2SeqTrainer, in one process, in turns.

    python -m benchmarks.translation --model CHECKPOINT --data PAIRS --source en --target de
    python -m benchmarks.translation --table FILE.json     print a written result as a Markdown table

Both get the same rows, weights, steps, beams and precision. Seq2SeqTrainer runs tuned: batches of like lengths in
training and in translating, the fused optimizer, no logging, `predict_with_generate` with a bound on new tokens that
lets no translation be cut. What is timed is training alone (no validation) and translating the test rows alone. The
Trainer's own grouping by length would return the translations in another order than that of the rows, so the rows are
sorted for it beforehand, and its translations put back.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.finetune import RESULTS, rotate, say, write
from toolkit.metrics import as_module
from toolkit.metrics.translation import METRICS
from toolkit.pipeline import configure, judge
from toolkit.pipeline.prepare import prepare
from toolkit.training.devices import accelerator_for
from toolkit.training.loop import train
from toolkit.training.objective import OWN

Turn = tuple[float, float, list[str]]  # seconds of training, seconds of translating, translations


def main() -> None:
    """Run both in turns, and print and write down their times and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--model", "--data", "--source", "--target", "--table"):
        parser.add_argument(name)
    parser.add_argument("--rows", type=int, default=256, help="training rows, one pass")
    parser.add_argument("--test-rows", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=96)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--repeats", type=int, default=2, help="rounds; each begins with another contender")
    parser.add_argument("--output", type=Path, default=RESULTS / "translation-cpu.json")
    given = parser.parse_args()
    if given.table:
        sys.stdout.write(markdown(json.loads(Path(given.table).read_text(encoding="utf-8"))))
        return
    if not (given.model and given.data and given.source and given.target):
        parser.error("--model, --data, --source and --target are needed")
    record = _measured(given)
    earlier = json.loads(given.output.read_text(encoding="utf-8")) if given.output.is_file() else {}
    record["precisions"] = {**earlier.get("precisions", {}), **record["precisions"]}
    write(record, given.output)
    sys.stdout.write(markdown(record))


def _measured(given: argparse.Namespace) -> dict[str, Any]:
    values = {
        "model": given.model,
        "data": {"source": given.data, "max_train_rows": given.rows, "max_length": given.max_length},
        "training": {
            "epochs": 1,
            "batch_size": given.batch_size,
            "learning_rate": given.learning_rate,
            "device": "cpu",
            "early_stopping_patience": None,
        },
        "evaluation": {"precision": given.precision},
        "options": {"source": given.source, "target": given.target},
    }
    recipe, resolved = configure("translation", [("flag", values)])
    prepared = prepare(recipe, resolved, lambda _event: None)
    test = prepared.splits.test.slice(0, given.test_rows)
    contenders = {"toolkit": _toolkit, "Seq2SeqTrainer": _trainer}
    turns: dict[str, list[Turn]] = {name: [] for name in contenders}
    for number in range(given.repeats):
        for name in rotate(list(contenders), number):
            turns[name].append(contenders[name](prepared, test, given.precision))
            say(f"{name}: training {turns[name][-1][0]:.1f} s, translating {turns[name][-1][1]:.1f} s")
    said = ("rows", "test_rows", "batch_size", "max_length", "learning_rate", "repeats")
    words = " ".join(f"--{name.replace('_', '-')} {getattr(given, name):g}" for name in said)
    found = summary(turns, test["target"].to_pylist(), len(prepared.splits.train))
    flops, peak = _training_flops(prepared), max(machine.measure_gemm(kind=given.precision).values())
    for one in found.values():
        one["gemm_share"] = flops / one["training_seconds"] / 1e9 / peak
    return {
        "command": f"python -m benchmarks.translation {words}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine.describe(),
        "model": Path(given.model).name,
        "languages": [given.source, given.target],
        "precisions": {given.precision: found},
    }


def _training_flops(prepared: Any) -> float:
    """Return what training on all rows has to multiply, without padding: counted on sixteen rows, one by one."""
    from torch.utils.flop_counter import FlopCounterMode

    config, recipe = prepared.config, prepared.recipe
    processor = recipe.load_processor(prepared.checkpoint.path, config)
    model = recipe.build_model(prepared.checkpoint.path, (), config)
    rows = prepared.splits.train
    features = judge.encode_rows(rows.slice(0, min(16, len(rows))), recipe, processor, config)
    with FlopCounterMode(display=False) as counter:
        for number in range(len(features)):
            model(**recipe.collate([features[number]], processor)).loss.backward()
    return float(counter.get_total_flops()) * len(rows) / len(features)


def summary(turns: Mapping[str, Sequence[Turn]], references: Sequence[str], rows: int) -> dict[str, Any]:
    """Return each contender's times, and the ratios to the toolkit's within each round.

    Args:
        turns: Contender → a turn a round.
        references: Of the test rows.
        rows: Training rows.
    """
    found = {}
    for name, own in turns.items():
        figures: dict[str, float] = {}
        for metric in METRICS:
            figures |= as_module(METRICS[metric]).compute(predictions=own[-1][2], references=list(references))
        seconds = {kind: [turn[at] for turn in own] for at, kind in enumerate(("training", "translating"))}
        ratios = {
            kind: statistics.median(turn[at] / ours[at] for turn, ours in zip(own, turns["toolkit"], strict=True))
            for at, kind in enumerate(("training", "translating"))
        }
        found[name] = {
            "training_seconds": statistics.median(seconds["training"]),
            "translating_seconds": statistics.median(seconds["translating"]),
            "times_training": ratios["training"],
            "times_translating": ratios["translating"],
            "rows_per_second": rows / statistics.median(seconds["training"]),
            "sentences_per_second": len(references) / statistics.median(seconds["translating"]),
            "turns": seconds,
            "chrf": figures["chrf"],
            "bleu": figures["bleu"],
        }
    return found


def markdown(record: Mapping[str, Any]) -> str:
    """Lay a record out as a table."""
    lines = [
        "| precision | contender | training, pairs/s | × toolkit | share of GEMM peak | translating, sentences/s "
        "| × toolkit | BLEU | chrF |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for precision, contenders in record["precisions"].items():
        for name, one in contenders.items():
            lines.append(
                f"| {precision} | {name} | {one['rows_per_second']:.1f} | {one['times_training']:.2f} | "
                f"{one['gemm_share']:.0%} | "
                f"{one['sentences_per_second']:.2f} | {one['times_translating']:.2f} | {one['bleu']:.1f} | "
                f"{one['chrf']:.1f} |"
            )
    machine_facts = record["machine"]
    lines.append(
        f"\n{machine_facts['processor']}, {machine_facts['processors']} cores, torch {machine_facts['torch']}, "
        f"transformers {machine_facts['transformers']}; {record['model']}, {' to '.join(record['languages'])}. "
        f"{record['date']}, `{record['command']}`."
    )
    return "\n".join(lines) + "\n"


def _toolkit(prepared: Any, test: Any, precision: str) -> Turn:
    config, recipe = prepared.config, prepared.recipe
    processor = recipe.load_processor(prepared.checkpoint.path, config)
    model = recipe.build_model(prepared.checkpoint.path, (), config)
    features = judge.encode_rows(prepared.splits.train, recipe, processor, config)
    start = time.perf_counter()
    train(
        model,
        features,
        partial(recipe.collate, processor=processor),
        config.training.model_copy(update={"best_metric": "loss"}),
        accelerator_for(config.training, precision),
        objective=OWN,
        validate=lambda _model: {"loss": 0.0},
        save=lambda _model, _step: None,
        higher_is_better=False,
        observe=lambda _event: None,
    )
    trained = time.perf_counter() - start
    subject = judge.Subject(model.eval(), processor, recipe, (), config)
    inputs = judge.encode_rows(test.select(["source"]), recipe, processor, config)
    start = time.perf_counter()
    said = judge.predict_features(subject, inputs).columns["prediction"]
    return trained, time.perf_counter() - start, list(said)


def _trainer(prepared: Any, test: Any, precision: str) -> Turn:
    from datasets import Dataset
    from transformers import (
        AutoModelForSeq2SeqLM,
        DataCollatorForSeq2Seq,
        Seq2SeqTrainer,
        Seq2SeqTrainingArguments,
        set_seed,
    )

    config, recipe = prepared.config, prepared.recipe
    set_seed(config.training.seed)
    processor = recipe.load_processor(prepared.checkpoint.path, config)
    model = AutoModelForSeq2SeqLM.from_pretrained(prepared.checkpoint.path)
    rows = {}
    for name, table in (("train", prepared.splits.train), ("test", test)):
        columns = recipe.preprocess(table.select(["source", "target"]).to_pydict(), processor, config)
        rows[name] = Dataset.from_dict({key: columns[key] for key in ("input_ids", "labels")})
    lengths = [len(ids) for ids in rows["test"]["input_ids"]]
    order = np.argsort(lengths, kind="stable")[::-1]
    rows["test"] = rows["test"].select(order)
    longest = max(lengths)
    bound = min(config.data.max_length, int(config.options["length_factor"] * longest) + 10)
    with tempfile.TemporaryDirectory() as output:
        trainer = Seq2SeqTrainer(
            model=model,
            args=Seq2SeqTrainingArguments(
                output_dir=str(Path(output)),
                num_train_epochs=1,
                per_device_train_batch_size=config.training.batch_size,
                per_device_eval_batch_size=config.evaluation.batch_size,
                learning_rate=config.training.learning_rate,
                warmup_steps=config.training.warmup_fraction,
                weight_decay=config.training.weight_decay,
                train_sampling_strategy="group_by_length",
                optim="adamw_torch_fused",
                logging_strategy="no",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
                bf16=precision == "bf16",
                predict_with_generate=True,
                generation_num_beams=config.options["beams"],
                generation_max_length=bound,
            ),
            train_dataset=rows["train"],
            data_collator=DataCollatorForSeq2Seq(processor, model=model),
            processing_class=processor,
        )
        start = time.perf_counter()
        trainer.train()
        trained = time.perf_counter() - start
        trainer.args.train_sampling_strategy = "sequential"  # they are sorted
        start = time.perf_counter()
        written = trainer.predict(rows["test"]).predictions
        taken = time.perf_counter() - start
    ids = np.where(written < 0, processor.pad_token_id, written)
    said = processor.batch_decode(ids, skip_special_tokens=True)
    back = {int(row): text.strip() for row, text in zip(order, said, strict=True)}
    return trained, taken, [back[row] for row in range(len(back))]


if __name__ == "__main__":
    main()
