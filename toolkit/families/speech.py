"""Models of recordings: loading with the settings that fine-tuning needs, and a small one from scratch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit import models
from toolkit.config import RunConfig

RATE = 16_000  # samples a second of a model from scratch


def load(auto: Any, path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load a checkpoint of recordings.

    The layers that turn samples into frames are frozen unless the model starts from random weights, as their authors
    do. Hiding parts of the input is left to `training.augmentation`, and layers are never left out at random: both
    would draw from a generator that a resumed run cannot restore.

    Args:
        auto: The Auto class of the task.
        path: The checkpoint folder.
        labels: Names of the classes; empty for a model without.
        config: The run's configuration.
        arguments: Further values for the model's configuration.

    Raises:
        ModelError: transformers cannot load it.

    Source: Baevski et al. 2020, "wav2vec 2.0", section 4.2.
    """
    arguments["architectures"] = []
    model = models.load(auto, path, labels, config.loading, config.training, **arguments)
    for name, value in (("apply_spec_augment", False), ("layerdrop", 0.0)):
        if hasattr(model.config, name):
            setattr(model.config, name, value)
    if not config.loading.from_scratch and hasattr(model, "freeze_feature_encoder"):
        model.freeze_feature_encoder()
    return model


def write_untrained(folder: Path, *, width: int, layers: int) -> None:
    """Write the configuration and the feature extractor of a small model of log-mel frames: a Conformer.

    Each layer attends over the recording and convolves neighbouring frames, 20 milliseconds each.

    Args:
        folder: Where to write; it is made.
        width: Hidden size, a multiple of 32.
        layers: How many.

    Source: Gulati et al. 2020, "Conformer: Convolution-augmented Transformer for Speech Recognition".
    """
    from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig

    folder.mkdir(parents=True, exist_ok=True)
    Wav2Vec2BertConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        intermediate_size=2 * width,
        feature_projection_input_dim=160,
        conv_depthwise_kernel_size=15,
        classifier_proj_size=width,
        left_max_position_embeddings=32,
        right_max_position_embeddings=32,
        feat_proj_dropout=0.1,
        layerdrop=0.0,
        apply_spec_augment=False,
    ).save_pretrained(folder)
    SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80, sampling_rate=RATE).save_pretrained(folder)
