"""SetFit with its default arguments: contrastive fine-tuning on pairs of texts, then a logistic regression.

    INTERPRETER setfit_trainer.py MODEL_FOLDER DATA_FOLDER SEED [NUM_ITERATIONS]

It imports nothing else, since setfit needs an environment of its own. It prints one line of JSON: accuracy on test.csv,
CPU seconds of training and of predicting, the number of pairs.
"""

import csv
import json
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path


def _read(path: Path) -> tuple[list[str], list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def main() -> None:
    """Train on train.csv and evaluate on test.csv."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model_folder, data, seed, *iterations = sys.argv[1:]
    train_texts, train_labels = _read(Path(data) / "train.csv")
    test_texts, test_labels = _read(Path(data) / "test.csv")
    names = sorted(set(train_labels))
    settings = {"num_iterations": int(iterations[0])} if iterations else {}
    begun = time.process_time()
    model = SetFitModel.from_pretrained(model_folder, labels=names)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(output_dir=folder, seed=int(seed), report_to="none", **settings)
        rows = Dataset.from_dict({"text": train_texts, "label": [names.index(label) for label in train_labels]})
        trainer = Trainer(model=model, args=arguments, train_dataset=rows)
        trainer.train()
    trained = time.process_time()
    predicted = [str(label) for label in model.predict(test_texts)]
    right = sum(prediction == other for prediction, other in zip(predicted, test_labels, strict=True))
    outcome = {
        "accuracy": right / len(test_labels),
        "training_cpu_seconds": round(trained - begun, 2),
        "predicting_cpu_seconds": round(time.process_time() - trained, 2),
        "steps": int(trainer.st_trainer.state.global_step),
        "num_iterations": int(iterations[0]) if iterations else None,
        "versions": {name: metadata.version(name) for name in ("setfit", "sentence-transformers", "torch")},
    }
    sys.stdout.write(f"{json.dumps(outcome)}\n")


if __name__ == "__main__":
    main()
