"""Classify pictures with a Vision Transformer: photographs, scans, digits, whatever a folder holds.

Learns one class for each picture, from a folder for each class, a table with names of files or picture bytes, or an
array file (.npz, idx, a table of pixels). The default data are photographs of bean leaves, healthy or with one of two
diseases; where no Hub can be reached, handwritten digits.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from toolkit import models
from toolkit.attention import resolution
from toolkit.config import DataConfig, RunConfig
from toolkit.data.images import image_folders
from toolkit.data.images.pixels import prepared, take_bytes
from toolkit.tasks.contract import Tables
from toolkit.tasks.inputs.image import IMAGE
from toolkit.tasks.targets.multi_label import MULTI_LABEL
from toolkit.tasks.targets.number import NUMBER
from toolkit.tasks.targets.ordinal import ORDINAL
from toolkit.tasks.targets.single_label import SINGLE_LABEL
from toolkit.tasks.task import Column, Target
from toolkit.training.augmentation import augment

DEFAULTS: dict[str, Any] = {
    "model": "vit",
    "data": {"source": "AI-Lab-Makerere/beans"},
    "training": {"best_metric": "accuracy"},
    "evaluation": {"checks": ["explanations"]},
}

# small handwritten digits, out of a package that the toolkit needs anyway
FALLBACK_DATA = {"source": "pkg://sklearn/datasets/data/digits.csv.gz"}

_FILES = ("image_path", "file_name", "filename", "path", "file", "image_id", "id")

COLUMNS = (
    Column("image", ("image", "img", "picture", "photo", *_FILES), IMAGE),
    Column(
        "label", ("label", "labels", "class", "target", "category", "diagnosis", "fine_label", "species"), SINGLE_LABEL
    ),
)

TARGETS = {"class": SINGLE_LABEL, "classes": MULTI_LABEL, "stars": ORDINAL, "number": NUMBER}

METRICS = SINGLE_LABEL.metrics
BASELINES = SINGLE_LABEL.baselines["image"]


class Options(BaseModel):
    """The keys of this recipe."""

    model_config = ConfigDict(extra="forbid")

    image_size: int | None = Field(
        None, ge=8, le=2048, description="Height and width of the model's input, in pixels; the checkpoint's by default"
    )
    class_from_name: bool = Field(
        False, description="The class of a picture is the part of its name before a number: cat.0.jpg, dog_12.png"
    )
    augment: Literal["auto", "none", "light", "photos", "medical", "microscope", "digits"] = Field(
        "auto",
        description="Random augmentation of pictures in training: a set of the values below, safe for its kind of "
        "pictures; auto is light, and none with frozen layers",
    )
    crop: float | None = Field(None, gt=0, le=1, description="Least share of a picture's area that is shown")
    flip: Literal["none", "horizontal", "both"] | None = Field(None, description="Mirror images that keep the class")
    rotate: float | None = Field(None, ge=0, le=180, description="Largest rotation in degrees, either way")
    shift: float | None = Field(None, ge=0, lt=1, description="Largest shift and scaling, as a share of the side")
    color: float | None = Field(None, ge=0, lt=1, description="Largest change of brightness, contrast, saturation")
    rand_augment: int | None = Field(None, ge=0, le=10, description="RandAugment's operations for each picture")
    erase: float | None = Field(None, ge=0, le=1, description="Share of the pictures that lose a rectangle")
    mixup: float | None = Field(None, ge=0, description="α of MixUp, which blends two pictures; 0 is off")
    cutmix: float | None = Field(None, ge=0, description="α of CutMix, which pastes a part of another; 0 is off")


def read(path: Path, config: DataConfig, options: Mapping[str, Any]) -> Tables | None:
    """Read a folder of pictures or an array file; other tables are read as everywhere."""
    return image_folders.read(path, class_from_name=options.get("class_from_name", False))


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the checkpoint's image processor, for the configured size."""
    return models.load_image_processor(path, config.loading, config.options.get("image_size"))


def preprocess(rows: Mapping[str, Sequence[Any]], processor: Any, config: RunConfig) -> dict[str, Any]:
    """Decode, resize and crop pictures to bytes (N, 3, H, W); the model normalises them on its device."""
    return {"pixel_values": prepared(rows["image"], processor, config.data.max_pixels)}


def check(config: RunConfig, target: Target) -> None:
    """Refuse CutMix of numbers."""
    augment.check(_changes(config), classes=target.classes)


def augmentation(processor: Any, labels: Sequence[str], config: RunConfig) -> Any:
    """Return what changes training batches at random, or None."""
    return augment.changer(_changes(config), processor, len(labels))


def _changes(config: RunConfig) -> augment.Changes:
    name = config.options["augment"]
    if name == "auto":
        name = "light" if config.training.freeze is None else "none"
    return augment.chosen(name, config.options)


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint with a classification head for `labels`, for the configured size."""
    from transformers import AutoModelForImageClassification

    size = config.options.get("image_size")
    if size and config.loading.from_scratch:
        arguments["image_size"] = size
    arguments.setdefault("problem_type", "single_label_classification")
    arguments["architectures"] = []  # the family's own method, not that of a checkpoint with two heads
    model = models.load(AutoModelForImageClassification, path, labels, config.loading, config.training, **arguments)
    return take_bytes(resolution.see(model, size) if size else model, load_processor(path, config))
