"""Small checkpoints of the families for pictures; run as a program, it fine-tunes each by its alias.

    python -m tests.support.vision DATA          prints one JSON object per line: the result of each family

One process for all of them, to import packages once; the Hub is the one that the environment names.
"""

import json
import sys
from pathlib import Path
from typing import Any

SIDE = 32  # pixels that each of them sees
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def configs() -> dict[str, tuple[Any, Any]]:
    """Return alias → (model configuration, image processor), as the alias's checkpoint on the Hub has them."""
    import transformers as t

    square = {"height": SIDE, "width": SIDE}
    edge = {"shortest_edge": SIDE + 4}
    return {
        "vit": (t.ViTConfig(**SMALL, image_size=SIDE, patch_size=8), t.ViTImageProcessorPil(size=square)),
        "deit": (
            t.DeiTConfig(**SMALL, image_size=SIDE, patch_size=8),
            t.DeiTImageProcessorPil(size={"height": SIDE + 4, "width": SIDE + 4}, crop_size=square),
        ),
        "dinov2": (
            t.Dinov2Config(
                hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=SIDE, patch_size=8
            ),
            t.BitImageProcessorPil(size=edge, crop_size=square),
        ),
        "swin": (
            t.SwinConfig(
                image_size=SIDE, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4
            ),
            t.ViTImageProcessorPil(size=square),
        ),
        "mobilevit": (
            t.MobileViTConfig(
                image_size=SIDE, hidden_sizes=[16, 20, 24], neck_hidden_sizes=[8, 8, 8, 8, 8, 8, 32],
                num_attention_heads=2,
            ),
            t.MobileViTImageProcessorPil(size=edge, crop_size=square),
        ),
        "cvt": (
            t.CvtConfig(embed_dim=[8, 8, 16], num_heads=[1, 1, 2], depth=[1, 2, 3]),
            t.ConvNextImageProcessorPil(size={"shortest_edge": SIDE}, crop_pct=0.875),
        ),
    }  # fmt: skip


def save(folder: Path) -> dict[str, Path]:
    """Write a random checkpoint of each family, with the head for other classes that real ones have."""
    import torch
    from transformers import AutoModelForImageClassification, DeiTForImageClassificationWithTeacher

    saved = {}
    for name, (config, processor) in configs().items():
        torch.manual_seed(0)
        config.num_labels = 5
        config.architectures = []
        saved[name] = folder / name
        build = AutoModelForImageClassification.from_config if name != "deit" else DeiTForImageClassificationWithTeacher
        build(config).save_pretrained(saved[name])  # DeiT's distilled ones have two heads
        processor.save_pretrained(saved[name])
    return saved


def data_set(folder: Path, rows: int = 60) -> Path:
    """Write a data set of pictures as the Hub holds it: Parquet, with an Image and a ClassLabel."""
    import datasets

    from tests.support.pictures import CLASSES, encoded, picture

    folder.mkdir(parents=True)
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))})
    for start, (part, count) in enumerate({"train": rows, "test": 12}.items()):
        images = [encoded(picture(bool(n % 2), 40, 1000 * start + n), "PNG") for n in range(count)]
        columns = {"image": [{"bytes": item} for item in images], "label": [n % 2 for n in range(count)]}
        datasets.Dataset.from_dict(columns, features=kinds).to_parquet(folder / f"{part}.parquet")
    return folder


def main() -> None:
    """Fine-tune each family for a few steps, and run transformers' pipeline on the exported model."""
    for name in configs():
        sys.stdout.write(json.dumps({"name": name, **tried(name, sys.argv[1])}) + "\n")


def tried(name: str, data: str) -> dict[str, Any]:
    """Return how far the pipeline's scores are from the run's own, and the message for other resolutions."""
    import pyarrow.parquet as pq
    from transformers import pipeline as pipeline_of

    from toolkit import checkpoints
    from toolkit.commands.finetune.prepare import configure, prepare
    from toolkit.commands.finetune.run import finetune
    from toolkit.data.images import image_decoding
    from toolkit.errors import ToolkitError

    values = {
        "model": name,
        "data": {"source": data},
        "training": {"epochs": 1, "batch_size": 16, "device": "cpu"},
        "evaluation": {"baselines": False, "resamples": 100},
        "output": name,
    }
    prepared = prepare(*configure("image", [("flag", values)]), lambda _event: None)
    run = finetune(prepared, "", lambda _event: None)
    classify = pipeline_of("image-classification", model=str(run.model))
    output = pq.read_table(run.path / "predictions.parquet").to_pylist()
    labels = prepared.splits.labels
    off = 0.0
    for row, picture in zip(output, prepared.splits.test["image"].to_pylist(), strict=True):
        theirs = {answer["label"]: answer["score"] for answer in classify(image_decoding.decode(picture, 10**6))}
        off = max(off, *(abs(theirs[label] - p) for label, p in zip(labels, row["probabilities"], strict=True)))
    path = checkpoints.locate(name, prepared.config.loading).path
    try:
        options = {**prepared.config.options, "image_size": SIDE * 2}
        larger = prepared.config.model_copy(update={"options": options})
        model = prepared.recipe.build_model(path, labels, larger)
        processor = prepared.recipe.load_processor(path, larger)
        rows = {"image": prepared.splits.test["image"].to_pylist()[:2]}
        batch = prepared.recipe.preprocess(rows, processor, larger)["pixel_values"]
        features = [{"pixel_values": item} for item in batch]
        logits = model.eval()(**prepared.recipe.collate(features, processor)).logits
        larger_says = [*batch.shape[2:], *logits.shape]
    except ToolkitError as error:
        larger_says = str(error)
    return {"off": off, "rows": len(output), "revision": prepared.checkpoint.revision, "larger": larger_says}


if __name__ == "__main__":
    main()
