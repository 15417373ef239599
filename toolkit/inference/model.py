"""A model on disk, and the same model loaded, with everything that predictions need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from toolkit import model_metadata
from toolkit.attention import heads
from toolkit.config import RunConfig
from toolkit.events import Observe
from toolkit.inference.build_model import build_model
from toolkit.tasks.contract import Recipe, Rows


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory.

    Attributes:
        model: In evaluation mode, on its device.
        processor: Its tokenizer or image processor.
        recipe: The task.
        labels: Names of the classes.
        config: The run's configuration.
        calibration: What is stored with it of validation rows, as of `Target.calibrate`.
    """

    model: Any
    processor: Any
    recipe: Recipe
    labels: Sequence[str]
    config: RunConfig
    calibration: Mapping[str, Any] = field(default_factory=dict)

    def preprocess(self, rows: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        """Turn columns of raw values, by role, into columns of model inputs."""
        return self.recipe.features(Rows(rows, self.labels), self.processor, self.config)


@dataclass(frozen=True)
class StoredModel:
    """A model on disk, loaded at its first prediction.

    Attributes:
        folder: Weights, configuration and processor.
        recipe: The task.
        labels: Names of the classes.
        config: The run's configuration.
        slim: Whether pruned heads are removed when it is loaded, which costs less and predicts the same.
        observe: Called with notes on its weights.
        calibrated: What was determined on validation rows; what is stored in its folder when None.
    """

    folder: Path
    recipe: Recipe
    labels: Sequence[str]
    config: RunConfig
    slim: bool = True
    observe: Observe | None = None
    calibrated: Mapping[str, Any] | None = None

    @cached_property
    def calibration(self) -> Mapping[str, Any]:
        """What was determined on validation rows, as of `Target.calibrate`."""
        if self.calibrated is not None:
            return self.calibrated
        stored: Mapping[str, Any] = model_metadata.read(self.folder).get("calibration", {})
        return stored

    @cached_property
    def loaded(self) -> LoadedModel:
        """The saved model, so that metrics are those of the files and not of the model in memory."""
        from toolkit.training.distributed.devices import pick_device

        model = build_model(self.recipe, self.folder, self.labels, self.config, self.observe).eval()
        if self.slim and self.pruned:
            heads.slimmed(model, heads.inputs_for(model), self.pruned)
        return LoadedModel(
            model.to(pick_device(self.config.training.device)),
            self.recipe.load_processor(self.folder, self.config),
            self.recipe,
            self.labels,
            self.config,
            self.calibration,
        )

    @property
    def pruned(self) -> heads.Pruned:
        """Its pruned heads."""
        stored = model_metadata.read(self.folder).get("pruned_heads", {})
        return {int(layer): numbers for layer, numbers in stored.items()}

    def with_calibration(self, calibration: Mapping[str, Any]) -> "StoredModel":
        """Return the model, loaded once, with what was determined on validation rows."""
        made = replace(self, calibrated=calibration)
        if "loaded" in vars(self):
            vars(made)["loaded"] = replace(self.loaded, calibration=calibration)
        return made

    @cached_property
    def learned(self) -> Mapping[str, Any]:
        """What its inputs learned from the training rows to read others: role → the facts of `Input.learned`."""
        inputs: Mapping[str, Any] = model_metadata.read(self.folder).get("inputs", {})
        return {role: entry["learned"] for role, entry in inputs.items() if "learned" in entry}

    def whole(self) -> "StoredModel":
        """Return the model with all heads in each layer and zeros for pruned ones, as explanations need it."""
        return replace(self, slim=False) if self.slim and self.pruned else self
