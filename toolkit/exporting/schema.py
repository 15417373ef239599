"""The keys of `export.json` in addition to transformers' own manifest; docs/shipping.md describes each."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Agreement(_Section):
    """Share of the rows that get the same answer, with its interval."""

    value: float
    low: float
    high: float
    rows: int
    same: int


class Drift(_Section):
    """How far probabilities, or numbers in standard deviations, moved."""

    largest: float
    mean: float
    of_numbers: bool = False

    @property
    def what(self) -> str:
        """What moved."""
        return "numbers" if self.of_numbers else "probabilities"

    @property
    def size(self) -> str:
        """The largest difference, with its unit."""
        return f"{self.largest:.2g}{' standard deviations' if self.of_numbers else ''}"


class Difference(_Section):
    """By how much a metric changed, exported minus original, with a paired interval."""

    metric: str
    title: str
    original: float
    exported: float
    value: float
    low: float
    high: float


class Speed(_Section):
    """Of one model: milliseconds for one example of median length, and examples a second in batches."""

    one_ms: float
    batch_size: int
    examples_per_second: float


class Reduced(_Section):
    """The same file computed in a lower precision."""

    agreement: Agreement
    drift: Drift | None
    speed: Speed | None


class Batching(_Section):
    """What depends on the other rows of a batch: the same rows predicted in batches and one at a time."""

    batch_size: int
    agreement: Agreement
    drift: Drift | None


class Candidate(_Section):
    """One quantization method, with its result on rows that it was not calibrated on."""

    way: str
    agreement: Agreement
    drift: Drift | None
    batching: Batching


class Quantization(_Section):
    """How 8 bits were chosen."""

    chosen: str
    calibrated_on: str
    calibration_rows: int
    candidates: list[Candidate]


class Export(_Section):
    """An export and how it compares with its model."""

    version: str
    created: str
    form: str
    model: str
    recipe: str
    labels: list[str]
    decision: str | None
    calibration: dict[str, Any]
    pairs: bool
    inputs: list[str]
    max_length: int | None
    rows: int
    split: str
    confidence: float
    tolerance: float
    drift_tolerance: float | None
    agreement: Agreement
    drift: Drift | None
    difference: Difference | None
    weights: dict[str, str]
    original_bytes: int
    exported_bytes: int
    threads: int
    original_speed: Speed | None
    exported_speed: Speed | None
    bf16: Reduced | None
    quantization: Quantization | None
