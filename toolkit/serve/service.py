"""The loaded model of the service: predictions and explanations."""

import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

import toolkit
from toolkit import runs
from toolkit.commands.evaluate.stored_model import find_stored, shown, stored_card
from toolkit.commands.explain.service import Explainer, explainer_for
from toolkit.commands.predict.answer_options import AnswerOptions
from toolkit.commands.predict.predictor import Predictor
from toolkit.data.sources.row_formats import Row
from toolkit.errors import ConfigError, ModelError
from toolkit.evaluation.stored_calibration import stored_temperature
from toolkit.events import Observe, Stage
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import StoredModel
from toolkit.serve.messages import ServedModel
from toolkit.tasks.task import Column

SCORED = AnswerOptions(all_scores=True)
TEST_ROWS = "data/test.parquet"
EXAMPLES = 50  # rows among which a short one is looked for
EXAMPLE = 300  # most characters of a text to begin with


@dataclass
class Service:
    """A loaded model; all its methods but `describe` must be called on one thread.

    Attributes:
        name: As callers see it.
        predictor: Predicts rows.
        explainer: Explains predictions; None where this model's predictions cannot be explained.
        wanted: What is answered, and what is promised of it.
        run: Its run directory; None for a model without one.
        prepared: Contexts that stay open between requests, so that batches without padding are set up once.
    """

    name: str
    predictor: Predictor
    explainer: Explainer | None
    wanted: AnswerOptions = SCORED
    run: Path | None = None
    prepared: ExitStack = field(default_factory=ExitStack)
    ready: bool = False
    explaining: bool = False

    @property
    def inputs(self) -> Sequence[Column]:
        """The columns of one input."""
        return self.predictor.inputs

    @property
    def hub_task(self) -> str | None:
        """The Hub's name of the task, where it has one."""
        return self.predictor.stored.recipe.task.hub_task

    def info(self) -> dict[str, Any]:
        """Return what clients and operators may want to know of the model, and the versions of what runs it."""
        from toolkit.environment import version

        stored, limits = self.predictor.stored, self.predictor.limits
        return {
            **asdict(self.describe()),
            "hub_task": self.hub_task,
            "inputs": [{"name": c.role, "kind": c.kind.name, "required": c.required} for c in self.inputs],
            "max_error": limits.max_error,
            "sets": self.wanted.sets,
            "max_length": stored.config.data.max_length if stored.recipe.task.longest_by_tokens else None,
            "versions": {"toolkit": toolkit.__version__, "python": platform.python_version()}
            | {package: version(package) or "" for package in ("torch", "transformers", "tokenizers")},
        }

    def describe(self) -> ServedModel:
        """Return the description of the model for clients."""
        stored = self.predictor.stored
        return ServedModel(
            model=self.name,
            task=stored.config.recipe,
            labels=list(stored.labels),
            device=str(stored.loaded.model.device),
            calibrated=self.predictor.temperature is not None,
            explains=self.explainer is not None,
        )

    def answer(self, inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Predict each input, a mapping of role → value. Invalid inputs have a "problem"."""
        if not self.explaining:
            self._prepare()
        groups: dict[tuple[str, ...], list[int]] = {}  # a pair of texts is prepared differently
        for number, item in enumerate(inputs):
            groups.setdefault(tuple(c.role for c in self.inputs if c.required or c.role in item), []).append(number)
        answers: list[dict[str, Any]] = [{} for _ in inputs]
        for roles, numbers in groups.items():
            predictor = replace(self.predictor, roles={role: role for role in roles})
            for number, answer in zip(numbers, predictor.answer([Row(dict(inputs[n])) for n in numbers]), strict=True):
                answers[number] = {key: value for key, value in answer.items() if key not in roles}
        return answers

    def explain(
        self, given: Mapping[str, Any], method: str | None, pause: Callable[[], None], label: str | None = None
    ) -> dict[str, Any]:
        """Explain the prediction of one input.

        Args:
            given: Role → value.
            method: Name of a method; the default when None.
            pause: Called between forward passes; `answer` may be called meanwhile, on this thread.
            label: Name of the class to explain; the most probable one predicted when None.

        Raises:
            ModelError: This model's predictions cannot be explained.
        """
        if self.explainer is None:
            raise ModelError(
                "Predictions of this model cannot be explained.",
                "Predict without explanations.",
                id="model.not-a-classifier",
            )
        self._release()
        self.explaining = True
        try:
            return self.explainer.explain(given, method, pause, label)
        finally:
            self.explaining = False

    def example(self) -> dict[str, str]:
        """Return an input to begin with, as a page shows it: a test row of the run, or a sample; empty without one."""
        rows = example_rows(self.run, [column.role for column in self.inputs]) if self.run is not None else []
        required = [column for column in self.inputs if column.required]
        samples = {column.role: column.kind.samples[0] for column in required if column.kind.samples}
        for row in [*rows, samples]:
            shown = {c.role: c.kind.plain(row[c.role]) for c in self.inputs if c.kind.plain and row.get(c.role)}
            if all(0 < len(shown.get(column.role, "").strip()) <= EXAMPLE for column in required):
                return shown
        return {}

    def close(self) -> None:
        """Give the model back as it was loaded."""
        self._release()

    def _prepare(self) -> None:
        """Enable batches without padding once, not for every request."""
        if self.ready:
            return
        from toolkit.attention.implementations.packed import unpadded
        from toolkit.data.batching.batch import probe

        subject = self.predictor.stored.loaded
        if all(column.kind.samples for column in self.inputs) and subject.config.training.acceleration == "auto":
            rows = pa.table({c.role: pa.array(c.kind.samples, c.kind.type) for c in self.inputs})
            features = encode_rows(rows, subject)
            collate = partial(subject.recipe.collate, processor=subject.processor)
            self.prepared.enter_context(unpadded(subject.model, probe(features, collate)))
        self.ready = True

    def _release(self) -> None:
        """Restore the original attention, which explanations record."""
        self.prepared.close()
        self.ready = False


def load(
    target: str,
    values: Mapping[str, Any],
    recipe_name: str | None,
    observe: Observe,
    wanted: AnswerOptions = SCORED,
) -> Service:
    """Load a model and predict once, so that the first request is not slow.

    Args:
        target: Run directory, alias, folder or Hub id.
        values: Nested configuration values laid over the stored ones.
        recipe_name: The task; the one stored with the model when None.
        observe: Called with each event.
        wanted: What is answered, and what is promised of it.

    Raises:
        CallError: The model cannot be used, or a promise cannot be kept.
    """
    observe(Stage("Loading the model"))
    checkpoint, recipe, config, labels = find_stored(target, values, recipe_name)
    inputs = recipe.task.named_inputs(config.options)
    stored = StoredModel(checkpoint.path, recipe, labels, config, slim=False, observe=observe)  # it also explains
    predictor = Predictor(
        stored,
        inputs,
        {column.role: column.role for column in inputs},
        stored_temperature(stored_card(checkpoint)),
        wanted.all_scores,
        limits=wanted.limits(stored),
    )
    run = Path(target) if runs.is_run(Path(target)) else None
    service = Service(shown(target), predictor, explainer_for(target, stored), wanted, run)
    if all(column.kind.samples for column in inputs):
        service.answer([{column.role: column.kind.samples[0] for column in inputs if column.required}])
    else:
        stored.loaded  # noqa: B018 - loaded here, not by the first caller
    return service


def example_rows(run: Path, roles: Sequence[str]) -> list[dict[str, Any]]:
    """Return the first test rows of a run; none where it keeps none."""
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(run / TEST_ROWS)
        kept = [role for role in roles if role in file.schema_arrow.names]
        batch = next(file.iter_batches(EXAMPLES, columns=kept), None) if kept else None
    except (OSError, pa.ArrowInvalid):
        return []
    return [] if batch is None else batch.to_pylist()


def check_alike(first: Service, second: Service) -> None:
    """Refuse to compare models of different tasks.

    Raises:
        ConfigError: Their inputs differ, or what they predict.
    """
    kinds = [[(column.role, column.kind.name) for column in service.inputs] for service in (first, second)]
    targets = [service.predictor.stored.recipe.task.target.kind.name for service in (first, second)]
    if kinds[0] != kinds[1] or targets[0] != targets[1]:
        raise ConfigError(
            f"{first.name} and {second.name} are models of different tasks.",
            "Compare models of one task.",
            id="compare.different-tasks",
        )
