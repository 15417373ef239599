"""Training and translating side by side with transformers' Seq2SeqTrainer, in one process, in turns.

python -m benchmarks.translation --model CHECKPOINT --data PAIRS --source en --target de

Both get the same rows, the same weights, the same steps and the same beams. Seq2SeqTrainer runs tuned: batches of like
lengths, the fused optimizer, no logging, `predict_with_generate` with a bound on new tokens that lets no translation be
cut. What is timed is training alone (no validation) and translating the test rows alone. Only the ratios mean anything
on a machine that does other things too.
"""

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.metrics import as_module
from toolkit.metrics.translation import METRICS
from toolkit.pipeline import configure, judge
from toolkit.pipeline.prepare import prepare
from toolkit.training.devices import accelerator_for
from toolkit.training.loop import train
from toolkit.training.objective import OWN


def main() -> None:
    """Run both in turns and print their times and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--rows", type=int, default=256, help="training rows, one pass")
    parser.add_argument("--test-rows", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=96)
    given = parser.parse_args()
    values = {
        "model": given.model,
        "data": {"source": given.data, "max_train_rows": given.rows, "max_length": given.max_length},
        "training": {"epochs": 1, "batch_size": given.batch_size, "device": "cpu", "early_stopping_patience": None},
        "options": {"source": given.source, "target": given.target},
    }
    recipe, resolved = configure("translation", [("flag", values)])
    prepared = prepare(recipe, resolved, lambda _event: None)
    test = prepared.splits.test.slice(0, given.test_rows)
    seconds = {"Seq2SeqTrainer": _trainer(prepared, test), "toolkit": _toolkit(prepared, test)}
    for name, (training, writing, said) in seconds.items():
        figures = [
            as_module(METRICS[m]).compute(predictions=said, references=test["target"].to_pylist()) for m in METRICS
        ]
        shown = ", ".join(f"{key} {value:.1f}" for figure in figures for key, value in figure.items())
        sys.stdout.write(f"{name:16} training {training:7.1f} s   translating {writing:7.1f} s   {shown}\n")
    theirs, ours = seconds["Seq2SeqTrainer"], seconds["toolkit"]
    ratios = [their / our for their, our in zip(theirs[:2], ours[:2], strict=True)]
    sys.stdout.write(f"{'ratio':16} training {ratios[0]:7.2f}     translating {ratios[1]:7.2f}\n")


def _toolkit(prepared: Any, test: Any) -> tuple[float, float, list[str]]:
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
        accelerator_for(config.training, "fp32"),
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


def _trainer(prepared: Any, test: Any) -> tuple[float, float, list[str]]:
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
    longest = max(map(len, rows["test"]["input_ids"]))
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
        start = time.perf_counter()
        written = trainer.predict(rows["test"]).predictions
        taken = time.perf_counter() - start
    ids = np.where(written < 0, processor.pad_token_id, written)
    return trained, taken, [text.strip() for text in processor.batch_decode(ids, skip_special_tokens=True)]


if __name__ == "__main__":
    main()
