"""Predict with the model in this folder; needs onnxruntime and tokenizers, and nothing else.

python run.py "a wonderful film" "a dull story"        a line for each text, with tabs between its columns
python run.py < texts.txt                              a line of text each; one without text has no prediction
python run.py "a man sleeps" --second "he is awake"    for a model of pairs of texts

Columns, by what the model predicts:

one class, or one of ordered classes    label, probability, text
any number of classes                   list of labels, list of their probabilities, text
a number                                number, lower and upper bound of its prediction interval, text
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when it is imported
import onnxruntime

BATCH = 32


class Model:
    """The model with its tokenizer and what `export.json` says of its predictions.

    Args:
        folder: Of the export, with tokenizer.json, config.json and export.json.

    Attributes:
        decision: How predictions follow from outputs: "class", "median", "classes" or "number".
        columns: How many columns a prediction has.
        pairs: Whether it reads two texts together.
    """

    def __init__(self, folder: Path) -> None:
        facts = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.labels: list[str] = facts["labels"]
        self.decision: str = facts["decision"]
        self.columns = 3 if self.decision == "number" else 2
        self.pairs: bool = facts["pairs"]
        self.calibration: dict[str, Any] = facts["calibration"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(facts["max_length"])
        self.tokenizer.enable_padding(pad_id=config.get("pad_token_id") or 0)
        file = str(folder / facts["components"]["model"]["file"])
        self.session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        self.inputs = [item.name for item in self.session.get_inputs()]
        # with dynamic 8-bit ranges a text's outputs depend on the others of its batch
        method = (facts.get("quantization") or {}).get("chosen")
        self.batch_size = 1 if method == "dynamic" else BATCH

    def outputs(self, texts: Sequence[str], second: Sequence[str] | None = None) -> Any:
        """Return the probability of each class for each text, or pair of texts; or a number. Shape (B, C) or (B, 1)."""
        given = list(texts) if second is None else list(zip(texts, second, strict=True))
        parts = [given[at : at + self.batch_size] for at in range(0, len(given), self.batch_size)]
        logits = np.concatenate([self._logits(part) for part in parts]).astype(np.float64)
        if self.decision == "number":
            return logits
        if self.decision == "classes":
            return np.exp(-np.logaddexp(0, -logits))
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return raised / raised.sum(axis=-1, keepdims=True)

    def _logits(self, given: Sequence[Any]) -> Any:
        """Return the logits of some texts, or pairs, in one call. Shape (B, C)."""
        encoded = self.tokenizer.encode_batch(given)
        known = {
            "input_ids": [encoding.ids for encoding in encoded],
            "attention_mask": [encoding.attention_mask for encoding in encoded],
            "token_type_ids": [encoding.type_ids for encoding in encoded],
        }
        (logits,) = self.session.run(["logits"], {name: np.array(known[name], np.int64) for name in self.inputs})
        return logits

    def prediction(self, outputs: Any) -> list[str]:
        """Return the columns of a prediction.

        Args:
            outputs: Of one text, from `outputs`. Shape (C,).
        """
        if self.decision == "number":
            width = self.calibration.get("half_width")
            bounds = ["", ""] if width is None else [f"{outputs[0] + sign * width:.6g}" for sign in (-1, 1)]
            return [f"{outputs[0]:.6g}", *bounds]
        numbers = self._classes(outputs)
        if self.decision == "classes":
            labels, scores = [self.labels[n] for n in numbers], [round(float(outputs[n]), 6) for n in numbers]
            return [json.dumps(labels, ensure_ascii=False), json.dumps(scores)]
        return [self.labels[numbers[0]], f"{outputs[numbers[0]]:.6f}"]

    def _classes(self, outputs: Any) -> list[int]:
        """Return the numbers of the predicted classes, in ascending order."""
        if self.decision == "classes":
            thresholds = self.calibration.get("thresholds") or [0.5] * len(self.labels)
            return [number for number, score in enumerate(outputs) if score >= thresholds[number]]
        if self.decision == "median":  # the first class at which the cumulative probability reaches one half
            return [int((np.cumsum(outputs) >= 0.5 - 1e-12).argmax())]
        return [int(outputs.argmax())]


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield texts some at a time."""
    left = iter(texts)
    while some := list(islice(left, BATCH)):
        yield some


def answers(model: Model, texts: Sequence[str], second: str | None) -> Iterator[str]:
    """Yield a line for each text: the prediction, and the text on one line; of a blank text the text alone."""
    given = [text for text in texts if text.strip()]
    rows = iter(model.outputs(given, None if second is None else [second] * len(given)) if given else ())
    for text in texts:
        columns = model.prediction(next(rows)) if text.strip() else [""] * model.columns
        yield "\t".join([*columns, " ".join(text.splitlines())])


def shown(line: str) -> str:
    """Return a line with control characters, except tabs, and changes of text direction escaped."""
    obeyed = "[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
    return re.sub(obeyed, lambda match: f"\\u{ord(match[0]):04x}", line)


def main() -> None:
    """Print a line for each text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="*", help="a text; standard input, line by line, if there is none")
    parser.add_argument("--second", help="second text of each pair")
    arguments = parser.parse_args()
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="replace", newline="\n")  # type: ignore[union-attr]
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    model = Model(Path(__file__).parent)
    if model.pairs != (arguments.second is not None):
        parser.error(f"the model reads {'pairs of texts: give' if model.pairs else 'one text: leave out'} --second")
    try:
        for texts in batches(arguments.text or (line.rstrip("\r\n") for line in sys.stdin)):
            for line in answers(model, texts, arguments.second):
                print(shown(line) if sys.stdout.isatty() else line, flush=True)
    except BrokenPipeError:  # the reader closed the output, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
