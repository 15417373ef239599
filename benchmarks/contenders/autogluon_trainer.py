"""AutoGluon-Multimodal on a table as people bring it, with its defaults and the same checkpoint.

    python benchmarks/contenders/autogluon_trainer.py MODEL FOLDER SECONDS

Runs in an environment that has autogluon.multimodal; nothing of this project is imported. SECONDS bounds its fit.
Prints {"accuracy", "macro_f1", "seconds"} as JSON.
"""

import json
import sys
import tempfile
import time
from pathlib import Path


def main(model_folder: str, folder: str, limit: str) -> None:
    """Fit on train.csv, predict test.csv."""
    import pandas as pd
    from autogluon.multimodal import MultiModalPredictor
    from sklearn.metrics import f1_score

    train, test = (pd.read_csv(Path(folder) / f"{part}.csv", dtype=str) for part in ("train", "test"))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as output:
        predictor = MultiModalPredictor(label="label", path=output, verbosity=0)
        settings = {"model.hf_text.checkpoint_name": model_folder, "model.names": ["hf_text"], "env.num_gpus": 0}
        predictor.fit(train, time_limit=float(limit), hyperparameters=settings, seed=0)
        seconds = time.perf_counter() - start
        predicted = list(predictor.predict(test[["text"]]))
    truth = list(test["label"])
    scores = {
        "accuracy": sum(a == b for a, b in zip(predicted, truth, strict=True)) / len(truth),
        "macro_f1": float(f1_score(truth, predicted, average="macro")),
        "seconds": round(seconds, 1),
    }
    sys.stdout.write("\n" + json.dumps(scores) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
