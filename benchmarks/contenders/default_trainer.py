"""The Trainer of transformers on a table as people bring it, with all its defaults or tuned.

    python -m benchmarks.contenders.default_trainer defaults|tuned MODEL FOLDER

Texts are cut at 256 tokens, as the toolkit cuts them, and padded to the longest of a batch, which is what the Trainer
does when it is given the tokenizer. "tuned" is what an experienced user sets for a small table: a tenth of the rows
for validation, learning rate 1e-4 for texts and 5e-5 for pictures, batches of 16, eight epochs (three from 5,000 rows
on), a tenth of them for warm-up, and the weights of the epoch with the best validation result.
Prints {"accuracy", "macro_f1", "correct", "seconds"} as JSON; seconds are those of training.
"""

import csv
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MAX_LENGTH = 256


def _texts(folder: Path, model_folder: str) -> tuple[dict[str, Any], list[str], Any]:
    from datasets import Dataset
    from transformers import AutoTokenizer

    csv.field_size_limit(10**9)
    parts = {}
    for part in ("train", "test"):
        with (folder / f"{part}.csv").open(encoding="utf-8", newline="") as stream:
            parts[part] = [(row["text"], row["label"]) for row in csv.DictReader(stream)]
    labels = sorted({label for _, label in parts["train"]})
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    tables = {}
    for part, rows in parts.items():
        encoded = tokenizer([text for text, _ in rows], truncation=True, max_length=MAX_LENGTH)
        tables[part] = Dataset.from_dict({**encoded, "label": [labels.index(label) for _, label in rows]})
    return tables, labels, tokenizer


def _pictures(folder: Path, model_folder: str) -> tuple[dict[str, Any], list[str], Any]:
    from datasets import Dataset
    from PIL import Image
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(model_folder, backend="pil")
    labels = sorted(path.name for path in (folder / "train").iterdir())
    tables = {}
    for part in ("train", "test"):
        files = [(file, number) for number, label in enumerate(labels) for file in (folder / part / label).glob("*")]
        images = [Image.open(file).convert("RGB") for file, _ in files]
        pixels = processor(images, return_tensors="np")["pixel_values"]
        tables[part] = Dataset.from_dict({"pixel_values": list(pixels), "label": [number for _, number in files]})
    return tables, labels, processor


def main(variant: str, model_folder: str, folder: str) -> None:
    """Train on the train part, predict the test part."""
    import numpy as np
    from sklearn.metrics import f1_score
    from transformers import (
        AutoModelForImageClassification,
        AutoModelForSequenceClassification,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    of_texts = (Path(folder) / "train.csv").is_file()
    tables, labels, processor = (_texts if of_texts else _pictures)(Path(folder), model_folder)
    auto = AutoModelForSequenceClassification if of_texts else AutoModelForImageClassification
    start = time.perf_counter()
    set_seed(42)  # the Trainer's own
    model = auto.from_pretrained(model_folder, num_labels=len(labels))
    settings: dict[str, Any] = {}
    train, validation = tables["train"], None
    if variant == "tuned":
        parted = train.train_test_split(test_size=0.1, seed=42)
        train, validation = parted["train"], parted["test"]
        settings = {
            "learning_rate": 1e-4 if of_texts else 5e-5,
            "per_device_train_batch_size": 16,
            "num_train_epochs": 3 if len(train) >= 5000 else 8,
            "warmup_steps": 0.1,
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
            "save_total_limit": 1,
            "load_best_model_at_end": True,
            "metric_for_best_model": "accuracy",
        }

    def accuracy(predictions: Any) -> dict[str, float]:
        return {"accuracy": float((predictions.predictions.argmax(axis=-1) == predictions.label_ids).mean())}

    with tempfile.TemporaryDirectory() as output:
        arguments = TrainingArguments(output_dir=output, use_cpu=True, report_to="none", disable_tqdm=True, **settings)
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=train,
            eval_dataset=validation,
            processing_class=processor if of_texts else None,
            compute_metrics=accuracy,
        )
        trainer.train()
        seconds = time.perf_counter() - start
        predicted = trainer.predict(tables["test"]).predictions.argmax(axis=-1)
    truth = np.asarray(tables["test"]["label"])
    scores = {
        "accuracy": float((predicted == truth).mean()),
        "macro_f1": float(f1_score(truth, predicted, average="macro")),
        "seconds": round(seconds, 1),
    }
    sys.stdout.write(json.dumps(scores) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
