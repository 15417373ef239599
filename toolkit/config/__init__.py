"""The configuration of a run: its sections, its layers, and its written forms."""

from toolkit.config.layers import (
    Key,
    Layer,
    Resolved,
    RunConfig,
    describe,
    leaves,
    merge,
    resolve,
    validate,
    validate_options,
)
from toolkit.config.settings import DataConfig

__all__ = [
    "DataConfig",
    "Key",
    "Layer",
    "Resolved",
    "RunConfig",
    "describe",
    "leaves",
    "merge",
    "resolve",
    "validate",
    "validate_options",
]
