"""The cost of hybrids of convolution and attention compared with attention alone, by size of texts and pictures.

    python -m benchmarks.hybrids                        some minutes
    python -m benchmarks.hybrids --table FILE.json      print a written result as Markdown tables

ConvBERT is compared with a BERT of the same shape (MiniLM's: 6 layers of 384, 12 heads), dense and with a sliding
window; MobileViT and CvT with ViT-S, each in its published shape. All have random weights. One forward and backward
pass of the whole model in fp32, without dropout, one text or four pictures at a time, each model and size in a process
of its own. Time and memory are those of `benchmarks.attention`.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.attention import FITTED_FROM, MOST_KEPT, PASSES, SECONDS, clock, markdown, peak
from benchmarks.finetune import RESULTS, measure_machine, say, write
from benchmarks.picture_workloads import VIT_S

LENGTHS = (512, 1024, 2048, 4096, 8192)  # tokens
SIDES = (128, 256, 384, 512)  # pixels
PATCH = 16  # pixels; sizes of pictures are counted in patches of ViT-S, for all
PICTURES = 4  # in a batch
MINILM = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}


def _bert(form: str) -> Any:
    from transformers import BertConfig, BertModel

    from toolkit.attention.implementations import sparse

    model = BertModel(BertConfig(**MINILM, max_position_embeddings=LENGTHS[-1]), add_pooling_layer=False)
    sparse.use(model, form)
    return model


def _convbert() -> Any:
    from transformers import ConvBertConfig, ConvBertModel

    return ConvBertModel(ConvBertConfig(**MINILM, embedding_size=384, max_position_embeddings=LENGTHS[-1]))


def _vit() -> Any:
    from transformers import ViTConfig, ViTModel

    return ViTModel(ViTConfig(**VIT_S, image_size=224, patch_size=PATCH), add_pooling_layer=False)


def _mobilevit() -> Any:
    from transformers import MobileViTConfig, MobileViTModel

    return MobileViTModel(MobileViTConfig())


def _cvt() -> Any:
    from transformers import CvtConfig, CvtModel

    return CvtModel(CvtConfig())


TEXT_MODELS: Mapping[str, Callable[[], Any]] = {
    "BERT, dense": lambda: _bert("dense"),
    "BERT, sliding-window:256": lambda: _bert("sliding-window:256"),
    "ConvBERT": _convbert,
}
PICTURE_MODELS: Mapping[str, Callable[[], Any]] = {"ViT-S": _vit, "MobileViT": _mobilevit, "CvT-13": _cvt}


def measure(name: str, size: int) -> dict[str, float]:
    """Measure a model in this process, on one thread.

    Args:
        name: Of `TEXT_MODELS` or `PICTURE_MODELS`.
        size: Tokens of a text, or pixels of a side.

    Returns:
        "parameters", "seconds" of the fastest pass, for one text or picture, and "peak_mib" of the whole batch.
    """
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    of_texts = name in TEXT_MODELS
    model = {**TEXT_MODELS, **PICTURE_MODELS}[name]().eval()  # no dropout, and statistics that are kept

    def run(size: int) -> float:
        if of_texts:
            given = {"input_ids": torch.randint(1000, 30_000, (1, size))}
        else:
            given = {"pixel_values": torch.randn(PICTURES, 3, size, size)}
        more = {"interpolate_pos_encoding": True} if name == "ViT-S" else {}
        start = clock("cpu")
        model(**given, **more)[0].sum().backward()
        return clock("cpu") - start

    run(LENGTHS[0] // 4 if of_texts else SIDES[0] // 2)  # loaded and built on first use, and the gradients
    before = peak("cpu")
    taken: list[float] = []
    while not taken or (len(taken) < PASSES and sum(taken) < SECONDS):
        taken.append(run(size))
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": min(taken) / (1 if of_texts else PICTURES),
        "peak_mib": peak("cpu") - before,
    }


def table(record: Mapping[str, Any]) -> str:
    """Lay out milliseconds and peak MiB of texts, then of pictures, as Markdown tables, with the exponents."""
    parts = []
    for thing, unit, start in (("texts", "tokens", FITTED_FROM), ("pictures", f"patches of {PATCH} × {PATCH}", 0)):
        sizes = {
            f"{name}, {next(iter(by_size.values()))['parameters'] / 1e6:.1f} M parameters": {
                (int(size) // PATCH) ** 2 if thing == "pictures" else int(size): cell for size, cell in by_size.items()
            }
            for name, by_size in record[thing].items()
        }
        seconds = {name: {size: cell["seconds"] for size, cell in by_size.items()} for name, by_size in sizes.items()}
        memory = {name: {size: cell["peak_mib"] for size, cell in by_size.items()} for name, by_size in sizes.items()}
        for heading, factor, costs in (("milliseconds", 1000, seconds), ("MiB at the peak", 1, memory)):
            cells = {name: {n: f"{factor * cost:,.0f}" for n, cost in own.items()} for name, own in costs.items()}
            parts.append(f"{thing}: {heading}, by {unit}\n\n{markdown(cells, costs, 'model', start)}")
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each model and size in processes of their own, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hybrids", description="Hybrids and attention alone.")
    parser.add_argument("--output", type=Path, default=RESULTS / "hybrids-cpu.json")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print this result as Markdown and run nothing")
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "SIZE"), help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.one:
        sys.stdout.write(json.dumps(measure(parsed.one[0], int(parsed.one[1]))) + "\n")
        return 0
    if parsed.table is None:
        record: dict[str, Any] = {
            "command": "python -m benchmarks.hybrids",
            "date": datetime.now(UTC).date().isoformat(),
            **measure_machine(),
            "texts": {},
            "pictures": {},
        }
        for thing, models, sizes in (("texts", TEXT_MODELS, LENGTHS), ("pictures", PICTURE_MODELS, SIDES)):
            for name in models:
                record[thing][name] = _sizes(name, sizes)
                write(record, parsed.output)
    else:
        record = json.loads(parsed.table.read_text(encoding="utf-8"))
    sys.stdout.write(table(record) + "\n")
    return 0


def _sizes(name: str, sizes: Sequence[int]) -> dict[str, dict[str, float]]:
    """Measure a model at each size, up to the memory limit."""
    results: dict[str, dict[str, float]] = {}
    for size in sizes:
        if name == "ConvBERT" and size > MOST_KEPT:  # its attention keeps all scores
            break
        command = [sys.executable, "-m", "benchmarks.hybrids", "--one", name, str(size)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            break
        results[str(size)] = json.loads(done.stdout.splitlines()[-1])
        say(f"{name} at {size:,}: {1000 * results[str(size)]['seconds']:,.0f} ms")
    return results


if __name__ == "__main__":
    sys.exit(main())
