"""The training of the benchmark of pictures: files, weights and configuration, the same for all contenders."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.commands.finetune.prepare import Prepared, configure, prepare
from toolkit.inference.model import LoadedModel

CLASSES = ("china", "flower")  # the photographs of scikit-learn


@dataclass(frozen=True)
class Workload:
    """The model and data of a training.

    Attributes:
        pictures: Number of training pictures.
        side: Height and width of their files, in pixels.
        suffix: Format of the files.
        epochs: Passes over them.
        batch_size: Pictures in an optimizer step.
        augment: The recipe's options for it.
        small: ViT-S at 224 when False.
    """

    pictures: int
    side: int
    suffix: str
    epochs: int
    batch_size: int
    augment: dict[str, Any]
    small: bool = True


WORKLOADS = {
    "small": Workload(2000, 28, ".png", 3, 64, {"augment": "none", "flip": "both"}),
    "photos": Workload(1000, 160, ".jpg", 3, 64, {"augment": "light", "flip": "horizontal"}),
    "large": Workload(128, 224, ".jpg", 1, 16, {"augment": "light", "flip": "horizontal"}, small=False),
}
VIT_S = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536}


@dataclass(frozen=True)
class Turn:
    """The time of a contender.

    Attributes:
        preparing: Seconds in which pictures were validated, decoded and resized before training.
        training: Seconds of training.
        waiting: Share of the training in which it waited for pictures; None where that is not known.
        loss: Of the last step.
    """

    preparing: float
    training: float
    waiting: float | None
    loss: float


def draw_pictures(workload: Workload, folder: Path) -> None:
    """Write pictures cut at random out of the photographs: one folder for each part and class."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_image

    draw = np.random.default_rng(0)
    photographs = {name: Image.fromarray(load_sample_image(f"{name}.jpg")) for name in CLASSES}
    for part, count in (("train", workload.pictures), ("validation", 16), ("test", 16)):
        for name in CLASSES:
            (folder / "data" / part / name).mkdir(parents=True)
        for number in range(count):
            name = CLASSES[number % 2]
            width, height = photographs[name].size
            left, top = (int(draw.integers(0, size - workload.side + 1)) for size in (width, height))
            cut = photographs[name].crop((left, top, left + workload.side, top + workload.side))
            cut.save(folder / "data" / part / name / f"{number:05}{workload.suffix}")


@dataclass(frozen=True)
class Ready:
    """A workload with its files.

    Attributes:
        workload: The model and data.
        folder: Of the pictures.
        prepared: The toolkit's configuration, checkpoint and splits.
        processor: The image processor.
    """

    workload: Workload
    folder: Path
    prepared: Prepared
    processor: Any

    def model(self, attention: str = "sdpa") -> Any:
        """Return the model with the same random weights for all contenders."""
        import torch

        torch.manual_seed(0)
        prepared = self.prepared
        model = prepared.recipe.build_model(prepared.checkpoint.path, prepared.splits.labels, prepared.config)
        model.set_attn_implementation(attention)
        return model

    @property
    def subject(self) -> LoadedModel:
        """Return what encodes rows; it holds no weights."""
        prepared = self.prepared
        return LoadedModel(None, self.processor, prepared.recipe, prepared.splits.labels, prepared.config)

    def augmentation(self) -> Any:
        """Return the random augmentation of batches of bytes."""
        return self.prepared.recipe.augmentation(self.processor, self.prepared.splits.labels, self.prepared.config)


def settle(workload: Workload, folder: Path, device: str) -> Ready:
    """Settle the configuration, off the clock."""
    name = "vit-tiny" if workload.small else write_model(folder / "model")
    values = {
        "model": name,
        "loading": {"from_scratch": True},
        "data": {"source": str(folder / "data"), "deduplicate": False},
        "training": {
            "epochs": workload.epochs,
            "batch_size": workload.batch_size,
            "device": device,
            "early_stopping_patience": None,
            "best_metric": "loss",
        },
        "options": workload.augment,
    }
    recipe, resolved = configure("image", [("flag", values)])
    settled = prepare(recipe, resolved, lambda _event: None)
    return Ready(workload, folder / "data", settled, recipe.load_processor(settled.checkpoint.path, settled.config))


def write_model(folder: Path) -> str:
    """Write a ViT-S with random weights."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    form = ViTConfig(**VIT_S, image_size=224, patch_size=16, hidden_dropout_prob=0.0)
    ViTForImageClassification(form).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 224, "width": 224}).save_pretrained(folder)
    return str(folder)


def training_flops(config: Mapping[str, Any]) -> int:
    """Return the matrix-product FLOPs that training needs for one picture.

    As `figures.training_flops` counts them: 6 a weight and token, 12·T²·d of attention for each layer. Of the last
    layer only the class token's part is counted, for all contenders: keys and values of all tokens, all else of one.
    """
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    patches = (config["image_size"] // config["patch_size"]) ** 2
    tokens = patches + 1
    layer = 6 * tokens * (4 * width**2 + 2 * width * inner) + 12 * width * tokens**2
    last = 6 * (2 * width**2 * tokens + 2 * width**2 + 2 * width * inner) + 12 * width * tokens
    embedding = 4 * patches * 3 * config["patch_size"] ** 2 * width  # its input has no gradient
    return int((layers - 1) * layer + last + embedding)
