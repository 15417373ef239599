"""The Trainer of transformers on a table as people bring it, with all its defaults or tuned.

    python -m benchmarks.contenders.default_trainer defaults|tuned MODEL FOLDER [SEED]

Texts are cut at 256 tokens, as the toolkit cuts them, and padded to the longest of a batch, which is what the Trainer
does when it is given the tokenizer. "tuned" is what an experienced user sets for a small table: a tenth of the rows
for validation, learning rate 1e-4 for texts and 5e-5 for pictures, batches of 16, eight epochs (three from 5,000 rows
on), a tenth of them for warm-up, and the weights of the epoch with the best validation figure.
Prints {"accuracy", "macro_f1", "seconds"} as JSON, or {"entity_f1", "seconds"} of words; seconds are those of training.
Of words the first piece carries the label, as in the example scripts of transformers.
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


def _words(folder: Path, model_folder: str) -> tuple[dict[str, Any], list[str], Any]:
    from datasets import Dataset
    from transformers import AutoTokenizer

    parts = {}
    for part in ("train", "test"):
        with (folder / f"{part}.jsonl").open(encoding="utf-8") as stream:
            parts[part] = [json.loads(line) for line in stream]
    labels = sorted({label for row in parts["train"] for label in row["labels"]})
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    tables = {}
    for part, rows in parts.items():
        words = [row["words"] for row in rows]
        encoded = tokenizer(words, is_split_into_words=True, truncation=True, max_length=MAX_LENGTH)
        numbers = []
        for place, row in enumerate(rows):
            of_pieces = encoded.word_ids(place)
            first = [word is not None and word not in of_pieces[:at] for at, word in enumerate(of_pieces)]
            numbers.append(
                [
                    labels.index(row["labels"][word]) if begins and row["labels"][word] in labels else -100
                    for word, begins in zip(of_pieces, first, strict=True)
                ]
            )
        tables[part] = Dataset.from_dict({**encoded, "labels": numbers})
    return tables, labels, tokenizer


def _figures_of_words(predicted: Any, truth: Any, labels: list[str]) -> dict[str, float]:
    """F1 of whole entities. Numbers of labels (N, T), -100 where a piece carries none."""
    from seqeval.metrics import f1_score

    names = [
        [[labels[number] for number in row[read]] for row, read in zip(numbers, truth != -100, strict=True)]
        for numbers in (truth, predicted)
    ]
    return {"entity_f1": float(f1_score(*names))}


def _figures_of_rows(predicted: Any, truth: Any, _labels: list[str]) -> dict[str, float]:
    from sklearn.metrics import f1_score

    macro = float(f1_score(truth, predicted, average="macro"))
    return {"accuracy": float((predicted == truth).mean()), "macro_f1": macro}


def main(way: str, model_folder: str, folder: str, seed: str = "42") -> None:
    """Train on the train part, predict the test part; 42 is the Trainer's own seed."""
    from transformers import (
        AutoModelForImageClassification,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        DataCollatorForTokenClassification,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    of_words = (Path(folder) / "train.jsonl").is_file()
    of_texts = of_words or (Path(folder) / "train.csv").is_file()
    read = _words if of_words else _texts if of_texts else _pictures
    tables, labels, processor = read(Path(folder), model_folder)
    of_rows = AutoModelForSequenceClassification if of_texts else AutoModelForImageClassification
    auto: Any = AutoModelForTokenClassification if of_words else of_rows
    start = time.perf_counter()
    set_seed(int(seed))
    model = auto.from_pretrained(model_folder, num_labels=len(labels))
    settings: dict[str, Any] = {}
    train, validation = tables["train"], None
    if way == "tuned":
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
            "metric_for_best_model": "entity_f1" if of_words else "accuracy",
        }

    def figures(predictions: Any) -> dict[str, float]:
        of = _figures_of_words if of_words else _figures_of_rows
        return of(predictions.predictions.argmax(axis=-1), predictions.label_ids, labels)

    with tempfile.TemporaryDirectory() as output:
        arguments = TrainingArguments(
            output_dir=output, use_cpu=True, report_to="none", disable_tqdm=True, seed=int(seed), **settings
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=train,
            eval_dataset=validation,
            processing_class=processor if of_texts else None,
            data_collator=DataCollatorForTokenClassification(processor) if of_words else None,
            compute_metrics=figures,
        )
        trainer.train()
        seconds = time.perf_counter() - start
        scores = figures(trainer.predict(tables["test"]))
    sys.stdout.write(json.dumps({**scores, "seconds": round(seconds, 1)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
