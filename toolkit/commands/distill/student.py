"""The student of a run: what it starts from, and how it is trained."""

from typing import Any

from toolkit.checkpoints import Checkpoint
from toolkit.commands.finetune.defaults import patience
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.trained_run import TrainedRun
from toolkit.errors import ConfigError
from toolkit.inference import fewer_layers
from toolkit.inference.model import StoredModel

_LAYERS = "layers="
_LONGER = 2  # times as many passes as the run: a student starts from less


def configured(source: TrainedRun, student: str, unlabelled: str | None) -> dict[str, Any]:
    """Return the values of the configuration that make a run's configuration that of its student.

    Args:
        source: The run.
        student: LAYERS=N for N layers of the run's own model, or the name of a model.
        unlabelled: File or folder of further rows; None without any.

    Raises:
        ConfigError: The number of layers is none.
    """
    teacher, layers = str(source.run.path), _layers(student)
    training = source.values["training"]
    epochs = _LONGER * float(training["epochs"])
    own_head = {"linear_probe": False, "mean_pooling": False} if layers is not None else {}
    return {
        "model": teacher if layers is not None else student,
        "distillation": {"teacher": teacher, "layers": layers, "unlabelled": unlabelled},
        "adapter": {"kind": "none"},
        "loading": {"from_scratch": False},
        "data": {"unlabelled": None},
        "evaluation": {"baselines": True},
        "training": {
            "learning_rate": None,
            "freeze": None,
            "few_labels": "off",
            "budget": None,
            "num_processes": 1,
            "epochs": epochs,
            "early_stopping_patience": patience(epochs),
            **own_head,
        },
    }


def _layers(student: str) -> int | None:
    """Return the number of layers of LAYERS=N; None for a name."""
    if not student.lower().startswith(_LAYERS):
        return None
    number = student[len(_LAYERS) :]
    if not number.isdecimal() or not int(number):
        raise ConfigError(
            f"`{student}` does not say how many layers the student has.",
            "Give a number, such as --student LAYERS=3, or the name of a model.",
            id="config.out-of-range",
        )
    return int(number)


def check(prepared: Prepared) -> None:
    """Refuse tasks and data for which a model has no probabilities of classes that another could learn.

    Raises:
        ConfigError: With what is supported; or the student would have as many layers as its teacher.
    """
    wanted, known = prepared.config.distillation.layers, prepared.checkpoint.config
    layers = known.get("num_hidden_layers", known.get("n_layers"))
    if wanted is not None and isinstance(layers, int):
        fewer_layers.spaced(layers, wanted)
    if prepared.recipe.generate is not None or not prepared.recipe.task.takes_distillation:
        raise ConfigError(
            "A student learns the probabilities of classes, and this model does not give one class to each row.",
            "Distil a run whose rows have one class each.",
            id="config.not-for-task",
        )
    if prepared.splits.stream is not None:
        raise ConfigError(
            "The training rows of this run are streamed, but the teacher's answers to all of them are kept.",
            "Train the run on rows that fit into memory.",
            id="data.streaming-unsupported",
        )


def check_inputs(prepared: Prepared, teacher: StoredModel, of_teacher: Checkpoint) -> None:
    """Refuse to compare hidden states or attention of models whose tokens differ.

    Raises:
        ConfigError: The vocabularies differ, or the widths of the hidden states.
    """
    config = prepared.config.distillation
    if config.layers is not None or not (config.hidden_weight or config.relations):
        return
    processors = (teacher.loaded.processor, prepared.recipe.load_processor(prepared.checkpoint.path, prepared.config))
    known, own = (_vocabulary(processor) for processor in processors)
    reason = None
    if not known or known != own:
        reason = "its vocabulary differs from the teacher's"
    elif config.hidden_weight and prepared.checkpoint.hidden_size != of_teacher.hidden_size:
        reason = f"its hidden states have {prepared.checkpoint.hidden_size} numbers, not {of_teacher.hidden_size}"
    if reason is not None:
        raise ConfigError(
            f"The student {prepared.checkpoint.name} cannot learn hidden states or relations: {reason}.",
            "Unset `distillation.hidden` and `distillation.relations`, or take LAYERS=N of the teacher.",
            id="distill.different-inputs",
        )


def _vocabulary(processor: Any) -> dict[str, int]:
    """Return token → number of a tokenizer; nothing for another processor."""
    return dict(processor.get_vocab()) if hasattr(processor, "get_vocab") else {}
