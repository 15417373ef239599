"""The Trainer of transformers, in three variants.

script                      as its example script for text classification runs it: every text padded to max_length
tuned                       padded to the longest of a batch, batches of like lengths, fused optimizer, no logging,
                            bf16 if a few steps of the model show that it is faster here
tuned-no-attention-dropout  the same, with the model's attention dropout set to 0
"""

import tempfile
import time
from typing import Any

from benchmarks.contenders.clock import Clock
from benchmarks.contenders.common import Evaluator, Outcome, main
from benchmarks.task import Task


def contend(task: Task, variant: str) -> Outcome:
    """Train with `transformers.Trainer`."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        default_data_collator,
        set_seed,
    )

    tuned = variant != "script"
    set_seed(task.seed)
    tokenizer = AutoTokenizer.from_pretrained(task.model)
    dropout = {"attention_probs_dropout_prob": 0.0} if variant == "tuned-no-attention-dropout" else {}
    model = AutoModelForSequenceClassification.from_pretrained(task.model, num_labels=2, **dropout)
    rows = _dataset(task, tokenizer, padding=False if tuned else "max_length")
    collate = DataCollatorWithPadding(tokenizer) if tuned else default_data_collator
    chosen: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    if tuned:
        facts["step_seconds"] = precisions = measure_precisions(model, collate(_typical(rows, task.batch_size)))
        chosen = {
            "train_sampling_strategy": "group_by_length",
            "optim": "adamw_torch_fused",
            "bf16": precisions["bf16"] < precisions["fp32"],
            "logging_strategy": "no",
        }
    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=output,
                num_train_epochs=task.epochs,
                per_device_train_batch_size=task.batch_size,
                learning_rate=task.learning_rate,
                lr_scheduler_type="linear",
                warmup_steps=task.warmup_steps,
                weight_decay=task.weight_decay,
                seed=task.seed,
                use_cpu=True,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                **chosen,
            ),
            train_dataset=rows,
            data_collator=collate,
            processing_class=tokenizer,
        )
        evaluator = Evaluator(task, tokenizer)
        clock = Clock(task.steps, task.evaluate_every, evaluator.at_mark)
        trainer.train()
    facts["optimizer"] = trainer.args.optim.value if hasattr(trainer.args.optim, "value") else str(trainer.args.optim)
    facts["precision"] = "bf16" if trainer.args.bf16 else "fp32"
    return Outcome(clock, evaluator.curve, evaluator.accuracy(model, "test"), facts)


def _dataset(task: Task, tokenizer: Any, padding: bool | str) -> Any:
    from datasets import Dataset

    texts, labels = task.rows("train")
    encoded = tokenizer(texts, padding=padding, truncation=True, max_length=task.max_length)
    return Dataset.from_dict({**encoded, "label": labels})


def _typical(rows: Any, count: int) -> list[dict[str, Any]]:
    """Return the rows of median length, as in a length-grouped batch."""
    lengths = [len(ids) for ids in rows["input_ids"]]
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    start = max(0, (len(order) - count) // 2)
    return [rows[row] for row in order[start : start + count]]


def measure_precisions(model: Any, batch: Any, repeats: int = 5) -> dict[str, float]:
    """Return the best time of a forward and backward pass in fp32 and under bf16 autocast, in seconds."""
    import torch

    seconds: dict[str, list[float]] = {"fp32": [], "bf16": []}
    model.train()
    for _ in range(repeats):
        for name, times in seconds.items():
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=name == "bf16"):
                loss = model(**batch).loss
            loss.backward()
            times.append(time.perf_counter() - start)
            model.zero_grad(set_to_none=True)
    return {name: round(min(times), 4) for name, times in seconds.items()}


if __name__ == "__main__":
    main(contend, ("torch", "transformers", "accelerate"))
