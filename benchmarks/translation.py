"""Training and translating compared with transformers' Seq2SeqTrainer, in one process, in turns.

    python -m benchmarks.translation --model CHECKPOINT --data PAIRS --source en --target de --precision bf16
    python -m benchmarks.translation --table FILE.json     print a written result as a Markdown table

Both get the same rows, weights, steps, beams and precision. Seq2SeqTrainer runs tuned: batches of like lengths in
training and in translating, the fused optimizer, no logging, `predict_with_generate` with a bound on new tokens that
truncates no translation. Only training (without validation) and translating the test rows are timed. The
Trainer's own grouping by length would return the translations in another order than that of the rows, so the rows are
sorted for it beforehand, and its translations put back. The last round's translations are evaluated, and so are those
of the checkpoint before training; differences have paired bootstrap intervals. `--characters` leaves out longer
sources. A precision's figures are kept in the record when the other one is measured.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from benchmarks import machine
from benchmarks.evaluate import profile
from benchmarks.finetune import RESULTS, rotate, say, write
from toolkit.commands.finetune.prepare import configure, prepare
from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation import scores
from toolkit.inference.encode import encode_rows
from toolkit.inference.generate import SPARE
from toolkit.inference.model import LoadedModel
from toolkit.inference.predict_features import predict_features
from toolkit.metrics.translation import METRICS
from toolkit.training.distributed.devices import accelerator_for
from toolkit.training.loop.arguments import TrainingData
from toolkit.training.loop.train import train
from toolkit.training.loss.objective import OWN

Turn = tuple[float, float, list[str]]  # seconds of training, seconds of translating, translations
METRIC_NAMES = ("bleu", "chrf")


def main() -> None:
    """Run both in turns, and print and write down their times and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--model", "--data", "--source", "--target", "--table"):
        parser.add_argument(name)
    parser.add_argument("--rows", type=int, default=384, help="training rows")
    parser.add_argument("--test-rows", type=int, default=80)
    parser.add_argument("--characters", type=int, default=300, help="that a source may have")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=96)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--repeats", type=int, default=2, help="rounds; each begins with another contender")
    parser.add_argument("--profile", action="store_true", help="print where the toolkit's training time goes, no more")
    parser.add_argument("--output", type=Path, default=RESULTS / "translation-cpu.json")
    given = parser.parse_args()
    if given.table:
        sys.stdout.write(markdown(json.loads(Path(given.table).read_text(encoding="utf-8"))))
        return
    if not (given.model and given.data and given.source and given.target):
        parser.error("--model, --data, --source and --target are needed")
    prepared, test = _prepared(given)
    if given.profile:
        _profile(prepared, given.precision)
        return
    record = _measured(given, prepared, test)
    earlier = json.loads(given.output.read_text(encoding="utf-8")) if given.output.is_file() else {}
    record["precisions"] = {**earlier.get("precisions", {}), **record["precisions"]}
    write(record, given.output)
    sys.stdout.write(markdown(record))


def _measured(given: argparse.Namespace, prepared: Any, test: Any) -> dict[str, Any]:
    contenders = {"toolkit": _toolkit, "Seq2SeqTrainer": _trainer}
    turns: dict[str, list[Turn]] = {name: [] for name in contenders}
    few = replace(prepared.splits, train=prepared.splits.train.slice(0, 2 * given.batch_size))
    for contender in contenders.values():  # one-time work is not timed
        contender(replace(prepared, splits=few), test.slice(0, 2), given.precision)
    for number in range(given.repeats):
        for name in rotate(list(contenders), number):
            turns[name].append(contenders[name](prepared, test, given.precision))
            say(f"{name}: training {turns[name][-1][0]:.1f} s, translating {turns[name][-1][1]:.1f} s")
    before = _translated(prepared, _model(prepared), test)
    result = summary(turns, before, test["target"].to_pylist(), len(prepared.splits.train) * given.epochs)
    flops, peak = _training_flops(prepared) * given.epochs, max(machine.measure_gemm(kind=given.precision).values())
    for entry in result["contenders"].values():
        entry["gemm_share"] = flops / entry["training_seconds"] / 1e9 / peak
    facts = ("rows", "test_rows", "characters", "epochs", "batch_size", "max_length", "learning_rate", "repeats")
    words = " ".join(f"--{name.replace('_', '-')} {getattr(given, name):g}" for name in facts)
    return {
        "machine": machine.describe(),
        "model": Path(given.model).name,
        "languages": [given.source, given.target],
        "precisions": {
            given.precision: {
                "command": f"python -m benchmarks.translation {words} --precision {given.precision}",
                "date": f"{datetime.now(UTC):%Y-%m-%d}",
                "gemm_gflops": peak,
                **result,
            }
        },
    }


def _prepared(given: argparse.Namespace) -> tuple[Any, Any]:
    """Return the training setup, and the test rows: the requested number of pairs whose sources are short enough."""
    values = {
        "model": given.model,
        "data": {"source": given.data, "max_length": given.max_length},
        "training": {
            "epochs": given.epochs,
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
    shuffled = np.random.default_rng(prepared.config.training.seed)

    def chosen(rows: Any, most: int) -> Any:
        short = rows.filter(pc.less_equal(pc.utf8_length(rows["source"]), given.characters))
        return short.take(np.sort(shuffled.permutation(len(short))[:most]))

    splits = replace(prepared.splits, train=chosen(prepared.splits.train, given.rows))
    return replace(prepared, splits=splits), chosen(splits.test, given.test_rows)


def _training_flops(prepared: Any) -> float:
    """Return the FLOPs of training on all rows, without padding: counted on sixteen rows, one by one."""
    from torch.utils.flop_counter import FlopCounterMode

    config, recipe = prepared.config, prepared.recipe
    processor = recipe.load_processor(prepared.checkpoint.path, config)
    model = _model(prepared)
    rows = prepared.splits.train
    features = encode_rows(rows.slice(0, min(16, len(rows))), LoadedModel(model, processor, recipe, (), config))
    with FlopCounterMode(display=False) as counter:
        for number in range(len(features)):
            model(**recipe.collate([features[number]], processor)).loss.backward()
    return float(counter.get_total_flops()) * len(rows) / len(features)


def summary(
    turns: Mapping[str, Sequence[Turn]], before: Sequence[str], references: Sequence[str], rows: int
) -> dict[str, Any]:
    """Return each contender's times and figures, the ratios to the toolkit's within each round, and differences.

    Args:
        turns: Contender → a turn a round.
        before: The checkpoint's translations of the test rows.
        references: Of the test rows.
        rows: Training rows over all epochs.
    """
    result = {}
    for name, own in turns.items():
        seconds = _seconds(own)
        of_toolkit = _seconds(turns["toolkit"])
        ratios = {
            kind: statistics.median(value / theirs for value, theirs in zip(values, of_toolkit[kind], strict=True))
            for kind, values in seconds.items()
        }
        result[name] = {
            "training_seconds": statistics.median(seconds["training"]),
            "translating_seconds": statistics.median(seconds["translating"]),
            "times_training": ratios["training"],
            "times_translating": ratios["translating"],
            "rows_per_second": rows / statistics.median(seconds["training"]),
            "sentences_per_second": len(references) / statistics.median(seconds["translating"]),
            "turns": seconds,
            **_figures(own[-1][2], references),
        }
    last: dict[str, Sequence[str]] = {name: own[-1][2] for name, own in turns.items()}
    ours = last.pop("toolkit")
    last = {**last, "before training": before}
    return {
        "contenders": result,
        "before": _figures(before, references),
        "toolkit_minus": {
            name: {metric: _difference(metric, ours, other, references) for metric in METRIC_NAMES}
            for name, other in last.items()
        },
    }


def _seconds(turns: Sequence[Turn]) -> dict[str, list[float]]:
    return {"training": [turn[0] for turn in turns], "translating": [turn[1] for turn in turns]}


def _figures(predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    return scores.values({"prediction": predictions}, references, METRIC_NAMES, ())


def _difference(metric: str, ours: Sequence[str], theirs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    difference = scores.difference(
        METRICS[metric], {"prediction": ours}, {"prediction": theirs}, references, (), EvaluationConfig(), seed=0
    )
    return {end: difference[end] for end in ("value", "low", "high")}


def markdown(record: Mapping[str, Any]) -> str:
    """Lay a record out as a table, and the differences below it."""
    lines = [
        "| precision | contender | training, pairs/s | × toolkit | share of GEMM peak | translating, sentences/s "
        "| × toolkit | BLEU | chrF2 |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    remarks = []
    machine_facts = record["machine"]
    for precision, measured in record["precisions"].items():
        for name, entry in measured["contenders"].items():
            lines.append(
                f"| {precision} | {name} | {entry['rows_per_second']:.1f} | {entry['times_training']:.2f} | "
                f"{entry['gemm_share']:.0%} | "
                f"{entry['sentences_per_second']:.2f} | {entry['times_translating']:.2f} | {entry['bleu']:.1f} | "
                f"{entry['chrf']:.1f} |"
            )
        before = measured["before"]
        lines.append(f"| {precision} | before training | | | | | | {before['bleu']:.1f} | {before['chrf']:.1f} |")
        remarks += [
            f"- {precision}, toolkit less {other}: "
            + ", ".join(
                f"{METRICS[metric].title} {entry['value']:+.1f} ({entry['low']:+.1f} to {entry['high']:+.1f})"
                for metric, entry in figures.items()
            )
            for other, figures in measured["toolkit_minus"].items()
        ]
        peak = f"GEMM peak {measured['gemm_gflops']:.0f} GFLOP/s"
        remarks.append(f"- {precision}: {measured['date']}, `{measured['command']}`; {peak}.")
    ending = (
        f"{machine_facts['processor']}, {machine_facts['processors']} cores, torch {machine_facts['torch']}, "
        f"transformers {machine_facts['transformers']}; {record['model']}, {' to '.join(record['languages'])}."
    )
    return "\n".join([*lines, "", *remarks, "", ending]) + "\n"


def _model(prepared: Any) -> Any:
    return prepared.recipe.build_model(prepared.checkpoint.path, (), prepared.config)


def _translated(prepared: Any, model: Any, test: Any) -> list[str]:
    """Translate the test rows as the toolkit does."""
    config, recipe = prepared.config, prepared.recipe
    processor = recipe.load_processor(prepared.checkpoint.path, config)
    subject = LoadedModel(model.eval(), processor, recipe, (), config)
    inputs = encode_rows(test.select(["source"]), subject)
    return list(predict_features(subject, inputs).columns["prediction"])


def _toolkit(prepared: Any, test: Any, precision: str) -> Turn:
    model, trained = _trained(prepared, precision)
    start = time.perf_counter()
    predictions = _translated(prepared, model, test)
    return trained, time.perf_counter() - start, predictions


def _trained(prepared: Any, precision: str) -> tuple[Any, float]:
    """Train as the toolkit does; return the model, and the seconds of training alone."""
    config, recipe = prepared.config, prepared.recipe
    processor = recipe.load_processor(prepared.checkpoint.path, config)
    model = _model(prepared)
    features = encode_rows(prepared.splits.train, LoadedModel(model, processor, recipe, (), config))
    start = time.perf_counter()
    train(
        model,
        TrainingData(features, partial(recipe.collate, processor=processor)),
        config.training.model_copy(update={"best_metric": "loss"}),
        accelerator_for(config.training, precision),
        objective=OWN,
    )
    return model, time.perf_counter() - start


def _profile(prepared: Any, precision: str) -> None:
    """Print the toolkit's training time by operation."""
    config, recipe = prepared.config, prepared.recipe
    processor = recipe.load_processor(prepared.checkpoint.path, config)
    encode = partial(encode_rows, prepared.splits.train, LoadedModel(None, processor, recipe, (), config))
    for name, share in profile(partial(_trained, prepared, precision), encode):
        say(f"{name:<45} {100 * share:5.1f} %")


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
    bound = min(config.data.max_length, int(config.options["length_factor"] * longest) + SPARE)
    with tempfile.TemporaryDirectory() as output:
        trainer = Seq2SeqTrainer(
            model=model,
            args=Seq2SeqTrainingArguments(
                output_dir=str(Path(output)),
                num_train_epochs=config.training.epochs,
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
    predictions = processor.batch_decode(ids, skip_special_tokens=True)
    back = {int(row): text.strip() for row, text in zip(order, predictions, strict=True)}
    return trained, taken, [back[row] for row in range(len(back))]


if __name__ == "__main__":
    main()
