"""What an answer of the service rests on, by the method that is known to be the most faithful for this model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import recipes, runs
from toolkit.errors import ConfigError
from toolkit.explain.attributions import BY_NAME, available
from toolkit.explain.patches import Picture
from toolkit.foreign import damage
from toolkit.pipeline import judge
from toolkit.report import overlays
from toolkit.report.explanation import verdict

UNMEASURED = "How far to believe this was not measured; `toolkit explain` measures it for a run."
QUICK = "leave-one-out"  # works for every family, and needs one forward pass a word


@dataclass(frozen=True)
class Explainer:
    """Explains one model's answers.

    Attributes:
        stored: The model.
        trust: How far each method can be believed, as `toolkit explain` measured it; None where it did not.
        methods: Names of the methods that may be asked for, the default first.
    """

    stored: judge.StoredModel
    trust: Mapping[str, Any] | None
    methods: Sequence[str]

    def explain(
        self, given: Mapping[str, Any], method: str | None, pause: Callable[[], None] | None = None
    ) -> dict[str, Any]:
        """Score each word, or each patch, of one input.

        Args:
            given: Role → text, or picture.
            method: Name of a method; the default when None.
            pause: Called between forward passes, which are then kept short: others may use the model meanwhile.

        Raises:
            ConfigError: There is no such method.
        """
        from toolkit.pipeline.questions import explain_one

        chosen = method or self.methods[0]
        if chosen not in self.methods:
            raise ConfigError(f"There is no method `{chosen}`.", f"Methods: {', '.join(self.methods)}.")
        found, chances = explain_one(self.stored.subject, self._given(given), chosen, pause)
        scores = [round(float(score), 6) for score in found.scores[chosen]]
        definition, one = BY_NAME[chosen], found.example
        shown: dict[str, Any]
        if isinstance(one, Picture):
            definition = definition.for_pictures()
            shown = {"grid": list(one.grid), "overlay": overlays.overlay(one.pixels, scores, one.grid)}
        else:
            shown = {"words": list(one.words)}
        return {
            "prediction": self.stored.labels[found.target],
            "score": round(float(chances[found.target]), 6),
            "scores": scores,
            **shown,
            "method": {"name": chosen, "title": definition.title, "about": definition.about},
            "signed": definition.signed,
            "belief": self._belief(),
        }

    def _given(self, given: Mapping[str, Any]) -> Any:
        """Return an input as `explain_one` takes it: a picture, or a text or a pair."""
        inputs = [column for column in self.stored.recipe.COLUMNS if column.is_input and column.role in given]
        values = [given[column.role] for column in inputs]
        return values[0] if inputs[0].kind == "image" else tuple(values)

    def _belief(self) -> str:
        if self.trust is None:
            return UNMEASURED
        return str(verdict([BY_NAME[name] for name in self.methods], self.trust)["headline"])


def explainer_for(target: str, stored: judge.StoredModel) -> Explainer | None:
    """Return what explains this model's answers; None where they are not one class for a text or a picture."""
    kinds = {column.kind for column in stored.recipe.COLUMNS}
    if "label" not in kinds or recipes.generates(stored.recipe) or not kinds & {"text", "image"}:
        return None
    trust = _measured(Path(target))
    best = trust["best"] if trust is not None else None
    # whether a picture's attention can be laid over it is known once that was measured
    known = [
        name for name in available("text" in kinds or trust is not None) if trust is None or name in trust["methods"]
    ]
    first = best or (QUICK if QUICK in known else known[0])
    return Explainer(stored, trust, [first, *(name for name in known if name != first)])


def _measured(run: Path) -> dict[str, Any] | None:
    """Read the newest of what `toolkit explain` measured for a run."""
    files = sorted((run / "explanations").glob("trust-*.json"), key=lambda file: file.stat().st_mtime)
    if not files:
        return None
    found = runs.read_object(files[-1])
    with damage(files[-1]):
        if found["best"] not in {None, *BY_NAME} or not isinstance(found["methods"], dict | list):
            raise TypeError
    return found
