"""The Trainer of transformers with all its defaults, on a table as people bring it.

    python -m benchmarks.contenders.trainer_defaults MODEL FOLDER

Texts are cut at 256 tokens, as the toolkit cuts them, and padded to the longest of a batch, which is what the Trainer
does when it is given the tokenizer. Prints {"accuracy", "macro_f1", "seconds"} as JSON; seconds are those of training.
"""

import csv
import json
import sys
import tempfile
import time
from pathlib import Path

MAX_LENGTH = 256


def main(model_folder: str, folder: str) -> None:
    """Train on train.csv, predict test.csv."""
    import numpy as np
    from datasets import Dataset
    from sklearn.metrics import f1_score
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    csv.field_size_limit(10**9)
    parts = {}
    for part in ("train", "test"):
        with (Path(folder) / f"{part}.csv").open(encoding="utf-8", newline="") as stream:
            parts[part] = [(row["text"], row["label"]) for row in csv.DictReader(stream)]
    labels = sorted({label for _, label in parts["train"]})
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    tables = {}
    for part, rows in parts.items():
        encoded = tokenizer([text for text, _ in rows], truncation=True, max_length=MAX_LENGTH)
        tables[part] = Dataset.from_dict({**encoded, "label": [labels.index(label) for _, label in rows]})
    start = time.perf_counter()
    model = AutoModelForSequenceClassification.from_pretrained(model_folder, num_labels=len(labels))
    with tempfile.TemporaryDirectory() as output:
        arguments = TrainingArguments(output_dir=output, use_cpu=True, report_to="none", disable_tqdm=True)
        trainer = Trainer(model=model, args=arguments, train_dataset=tables["train"], processing_class=tokenizer)
        trainer.train()
        seconds = time.perf_counter() - start
        predicted = trainer.predict(tables["test"]).predictions.argmax(axis=-1)
    truth = np.asarray(tables["test"]["label"])
    scores = {"accuracy": float((predicted == truth).mean()), "macro_f1": f1_score(truth, predicted, average="macro")}
    sys.stdout.write(json.dumps({**scores, "seconds": round(seconds, 1)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
