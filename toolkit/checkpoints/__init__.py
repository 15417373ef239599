"""Checkpoints: their short names, their files on this machine, and what their config.json says; no torch here."""

from toolkit.checkpoints.aliases import hub_id, is_there, what_works_here
from toolkit.checkpoints.configuration import (
    SPEECH_TO_TEXT,
    Checkpoint,
    architectures,
    check_classifier,
    check_head,
    check_transcriber,
    check_writer,
    family,
    label_names,
    learning_rate,
    learning_rate_rule,
    longest_input,
    reach,
    task_of,
    unasked,
)
from toolkit.checkpoints.files import cached_models, check_checkpoint
from toolkit.checkpoints.lookup import locate

__all__ = [
    "SPEECH_TO_TEXT",
    "Checkpoint",
    "architectures",
    "cached_models",
    "check_checkpoint",
    "check_classifier",
    "check_head",
    "check_transcriber",
    "check_writer",
    "family",
    "hub_id",
    "is_there",
    "label_names",
    "learning_rate",
    "learning_rate_rule",
    "locate",
    "longest_input",
    "reach",
    "task_of",
    "unasked",
    "what_works_here",
]
