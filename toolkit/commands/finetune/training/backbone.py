"""The checkpoint of a run before it is trained, on its device, and the features of rows by it."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.training.setup import TrainingSetup, gather
from toolkit.data.batching.batch import Features, Integers, probe
from toolkit.events import Observe
from toolkit.training.adaptation import feature_vectors
from toolkit.training.adaptation.feature_vectors import Vectors
from toolkit.training.loss.objective import RATIONALE


@dataclass(frozen=True)
class Backbone:
    """A checkpoint with the model inputs of some rows.

    Attributes:
        model: On its device.
        layer: Its linear output layer; None where another operation follows.
        batch: A real one, on the CPU.
        features: Model inputs of the rows.
        setup: The processor, and what stacks rows.
        accelerator: Computes in the run's precision.
        batch_size: Rows in a forward pass.
    """

    model: Any
    layer: Any | None
    batch: dict[str, Any]
    features: Features
    setup: TrainingSetup
    accelerator: Any
    batch_size: int

    def in_order(self, features: Features | None = None) -> tuple[Integers, Vectors]:
        """Return row numbers and vectors of its rows, or of others, in their order, as of `feature_vectors.vectors`."""
        collate, autocast = self.setup.collate, self.accelerator.autocast
        rows = self.features if features is None else features
        return feature_vectors.in_order(
            feature_vectors.vectors(self.model, self.layer, rows, collate, self.batch_size, autocast)
        )


def load(prepared: Prepared, rows: pa.Table, observe: Observe) -> Backbone:
    """Load the checkpoint of a run, and tokenize rows for it.

    Args:
        prepared: The run before its training.
        rows: In the recipe's roles.
        observe: Called with each event.
    """
    from toolkit.training.acceleration import autotune
    from toolkit.training.distributed.devices import accelerator_for, pick_device

    config = prepared.config
    setup = gather(prepared, (rows,), observe)
    features = setup.features[0].without(RATIONALE)
    device = pick_device(config.training.device)
    accelerator = accelerator_for(config.training, autotune.configured(config.training, device).precision)
    model = setup.model.to(accelerator.device)
    batch = probe(features, setup.collate)
    layer = feature_vectors.output_layer(model, batch)
    return Backbone(model, layer, batch, features, setup, accelerator, config.evaluation.batch_size)
