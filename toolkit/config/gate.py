"""The gate of a release: which losses of a new model against the old one are allowed, each key with its meaning."""

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from toolkit.config.files import read_file
from toolkit.config.layers import validate_section
from toolkit.config.settings import Section

DEFAULT = "default"  # names the gate below in the place of a file
_RULES = ("metrics", "slices", "bias", "robustness", "calibration", "latency", "size")


class MetricRule(Section):
    """A metric is not worse."""

    name: str | None = Field(None, description="Name of the metric; the first of the recipe when not given")
    margin: float | None = Field(
        None,
        ge=0,
        description="Allowed loss in the unit of the metric, 0.01 for one point of accuracy; when not given 0.01, for "
        "metrics from 0 to 100 1, and for values in the unit of the data 2 % of the old model's figure",
    )


class SlicesRule(Section):
    """No slice is worse."""

    margin: float = Field(0.1, ge=0, lt=1, description="Allowed loss of accuracy in a slice; 0.1 is ten points")
    smallest: int = Field(200, ge=20, description="Smallest number of rows of a slice that `only` does not name")
    only: list[str] = Field(
        [], description='Groupings, as `class`, or slices, as "class: negative"; all of the report when not given'
    )


class BiasRule(Section):
    """No gap between groups of people is larger."""

    margin: float = Field(0.05, ge=0, description="Allowed growth of a gap, in the unit of the report's gaps")


class RobustnessRule(Section):
    """No change of the inputs costs more."""

    margin: float = Field(
        0.05, ge=0, description="Allowed growth of what a change of the inputs costs, in the unit of the report"
    )


class CalibrationRule(Section):
    """The expected calibration error is not larger."""

    margin: float = Field(0.05, ge=0, lt=1, description="Allowed growth of the expected calibration error")


class LatencyRule(Section):
    """Predictions are not slower."""

    ratio: float = Field(1.2, gt=0, description="Largest allowed median time, as a multiple of the old model's")
    batch_size: int = Field(1, ge=1, description="Examples in a forward pass: 1, 8 or 32, as the cost check times them")


class SizeRule(Section):
    """The model is not larger."""

    ratio: float | None = Field(
        None, gt=0, description="Largest allowed size in memory, as a multiple of the old model's"
    )
    megabytes: float | None = Field(None, gt=0, description="Largest allowed size in memory, in megabytes")

    @model_validator(mode="before")
    @classmethod
    def _bounded(cls, values: Any) -> Any:
        return {"ratio": 1.1} if values == {} else values


class Gate(Section):
    """All rules, and the probability that any of them is decided wrongly."""

    error: float = Field(
        0.05, gt=0, lt=0.5, description="Probability that any rule is decided wrongly, over all rules and looks"
    )
    looks: int = Field(
        1, ge=1, le=1000, description="How many new models are compared on the same rows at most, each of which counts"
    )
    metrics: list[MetricRule] = Field([], description="Metrics that must not be worse")
    slices: list[SlicesRule] = Field([], description="Slices that must not be worse")
    bias: BiasRule | None = Field(None, description="Gaps between groups of people")
    robustness: RobustnessRule | None = Field(None, description="Losses under changes of the inputs")
    calibration: CalibrationRule | None = Field(None, description="Expected calibration error")
    latency: LatencyRule | None = Field(None, description="Time of a prediction")
    size: SizeRule | None = Field(None, description="Size in memory")

    @model_validator(mode="before")
    @classmethod
    def _written(cls, values: Any) -> Any:
        """Refuse a gate without rules, which every model would pass, and a rule that is null by mistake."""
        if isinstance(values, dict):
            empty = [name for name in _RULES if name in values and values[name] in (None, [])]
            if empty:
                raise ValueError(f"the rule `{empty[0]}` is empty; write `{{}}` for its default values")
            if not any(name in values for name in _RULES) and set(values) <= set(cls.model_fields):
                raise ValueError(f"a gate needs a rule: {', '.join(_RULES)}")
            one = {name: [values[name]] for name in ("metrics", "slices") if isinstance(values.get(name), dict)}
            return {**values, **one}
        return values


def default() -> Gate:
    """Return the gate that `default` names."""
    return Gate(metrics=[MetricRule()], slices=[SlicesRule()], calibration=CalibrationRule(), size=SizeRule(ratio=1.1))


def read(file: str) -> Gate:
    """Read a gate.

    Args:
        file: A YAML file, or "default".

    Raises:
        ConfigError: It cannot be read, or a key or a value is wrong; all are named at once.
    """
    return default() if file == DEFAULT else validate_section(Gate, read_file(Path(file)), f"the gate {file}")
