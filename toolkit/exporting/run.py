"""Predict with the model in this folder; needs onnxruntime and tokenizers, and nothing else.

python run.py "a wonderful film" "a dull story"        label, probability and text, with tabs between
python run.py < texts.txt                              a line of text each; one without text has no label
python run.py "a man sleeps" --second "he is awake"    for a model of pairs of texts
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
import onnxruntime
from tokenizers import Tokenizer

BATCH = 32


class Classifier:
    """The model with its tokenizer and the names of its classes.

    Args:
        folder: Where model.onnx, tokenizer.json, config.json and export.json are.
    """

    def __init__(self, folder: Path) -> None:
        facts = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.labels: list[str] = facts["labels"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(facts["max_length"])
        self.tokenizer.enable_padding(pad_id=config.get("pad_token_id") or 0)
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
        self.inputs = [item.name for item in self.session.get_inputs()]
        # with dynamic 8-bit ranges a text's probabilities depend on the others of its batch
        method = (facts.get("quantization") or {}).get("chosen")
        self.batch_size = 1 if method == "dynamic" else BATCH

    def probabilities(self, texts: Sequence[str], second: Sequence[str] | None = None) -> Any:
        """Return the probability of each class for each text, or pair of texts. Shape (B, C)."""
        given = list(texts) if second is None else list(zip(texts, second, strict=True))
        parts = [given[at : at + self.batch_size] for at in range(0, len(given), self.batch_size)]
        return np.concatenate([self._inputs(part) for part in parts])

    def _inputs(self, given: Sequence[Any]) -> Any:
        """Return the probabilities of some texts, or pairs, in one call. Shape (B, C)."""
        encoded = self.tokenizer.encode_batch(given)
        known = {
            "input_ids": [encoding.ids for encoding in encoded],
            "attention_mask": [encoding.attention_mask for encoding in encoded],
            "token_type_ids": [encoding.type_ids for encoding in encoded],
        }
        (logits,) = self.session.run(["logits"], {name: np.array(known[name], np.int64) for name in self.inputs})
        raised = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
        return raised / raised.sum(axis=-1, keepdims=True)


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield texts some at a time."""
    left = iter(texts)
    while some := list(islice(left, BATCH)):
        yield some


def answers(model: Classifier, texts: Sequence[str], second: str | None) -> Iterator[str]:
    """Yield a line for each text: label, probability, and the text on one line; of a blank text the text alone."""
    given = [text for text in texts if text.strip()]
    rows = iter(model.probabilities(given, None if second is None else [second] * len(given)) if given else ())
    for text in texts:
        label = probability = ""
        if text.strip():
            probabilities = next(rows)
            label, probability = model.labels[int(probabilities.argmax())], f"{probabilities.max():.6f}"
        yield f"{label}\t{probability}\t{' '.join(text.splitlines())}"


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
    model = Classifier(Path(__file__).parent)
    try:
        for texts in batches(arguments.text or (line.rstrip("\r\n") for line in sys.stdin)):
            for line in answers(model, texts, arguments.second):
                print(shown(line) if sys.stdout.isatty() else line, flush=True)
    except BrokenPipeError:  # the reader closed the output, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
