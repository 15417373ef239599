"""Explain single predictions by the most faithful measured method, or by a fast one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.commands.explain import store
from toolkit.commands.explain.inputs import class_number, reads_pictures
from toolkit.errors import ConfigError
from toolkit.explanation.attributions import available, described
from toolkit.explanation.patches import Picture
from toolkit.inference.model import StoredModel
from toolkit.report.pages.attention.explanation import Shown, unmeasured, verdict
from toolkit.report.plots import overlays

QUICK = "leave-one-out"  # works for every family, and needs one forward pass a word
_TO_MEASURE = "toolkit explain RUN --measure"  # clients of the service do not see the path of the run
ONE_PASS = "relevance"  # needs one forward and one backward pass, where attention can be recorded


@dataclass(frozen=True)
class Explainer:
    """Explains one model's answers.

    Attributes:
        stored: The model.
        trust: How faithful each method is, where it was measured.
        methods: Names of the available methods, the default first.
    """

    stored: StoredModel
    trust: Mapping[str, Any] | None
    methods: Sequence[str]

    def explain(
        self,
        given: Mapping[str, Any],
        method: str | None,
        pause: Callable[[], None] | None = None,
        wanted: str | None = None,
    ) -> dict[str, Any]:
        """Score each word, or each patch, of one input.

        Args:
            given: Role → text, or picture.
            method: Name of a method; the default when None.
            pause: Called between forward passes, which are then short: other requests may use the model meanwhile.
            wanted: Name of the class to explain; of those predicted the most probable one when None.

        Raises:
            ConfigError: There is no such method or class.
        """
        from toolkit.commands.explain.text import explain_one, outcome_of

        chosen = method or self.methods[0]
        if chosen not in self.methods:
            raise ConfigError(
                f"There is no method `{chosen}`.", f"Methods: {', '.join(self.methods)}.", id="config.unknown-choice"
            )
        loaded, number = self.stored.loaded, class_number(wanted, self.stored, self.stored.labels)
        explanation, values = explain_one(loaded, self._given(given), chosen, pause, number)
        shown_as = Shown(outcome_of(self.stored), loaded.calibration, loaded.recipe.target.shown)
        scores = [round(float(score), 6) for score in explanation.scores[chosen]]
        example, of_numbers = explanation.example, shown_as.outcome.number
        definition = described(chosen, of_pictures=isinstance(example, Picture), of_numbers=of_numbers)
        shown: dict[str, Any]
        if isinstance(example, Picture):
            shown = {"grid": list(example.grid), "overlay": overlays.overlay(example.pixels, scores, example.grid)}
        else:
            shown = {"words": list(example.words)}
            shown |= {"sources": list(example.sources)} if example.sources else {}
        return {
            **_answered(shown_as.of(explanation, values, self.stored.labels)),
            "scores": scores,
            **shown,
            "method": {"name": chosen, "title": definition.title, "about": definition.about},
            "signed": definition.signed,
            "belief": self._belief(),
        }

    def _given(self, given: Mapping[str, Any]) -> Any:
        """Return an input as `explain_one` takes it: a picture, or a text or a pair."""
        task = self.stored.recipe.task
        values = [given[column.role] for column in task.inputs if column.role in given]
        return values[0] if reads_pictures(self.stored) else tuple(values)

    def _belief(self) -> str:
        if self.trust is None:
            return unmeasured(_TO_MEASURE)
        return str(verdict(self.trust, _TO_MEASURE)["headline"])


def _answered(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return the explained class with its probability, or the number."""
    if shown["value"] is not None:
        return {"prediction": shown["value"], "score": None, "predicted": True}
    probability = round(shown["probability"], 6)
    return {"prediction": shown["prediction"], "score": probability, "predicted": shown["predicted"]}


def explainer_for(target: str, stored: StoredModel) -> Explainer | None:
    """Return the explainer of this model's predictions; None where they cannot be explained."""
    if stored.recipe.task.explained_by is None:
        return None
    run = runs.Run(Path(target)) if runs.is_run(Path(target)) else None
    trust = store.find_measurement(run, stored)
    # whether a picture's attention can be drawn over it is known after a measurement
    known = [
        name
        for name in available(not reads_pictures(stored) or trust is not None)
        if trust is None or name in trust["methods"]
    ]
    first = default_method(known, trust)
    return Explainer(stored, trust, [first, *(name for name in known if name != first)])


def default_method(known: Sequence[str], trust: Mapping[str, Any] | None, otherwise: str = QUICK) -> str:
    """Return the default method: the most faithful one where that was measured.

    Args:
        known: Methods that work for the model.
        trust: How faithful each is, where it was measured.
        otherwise: The method to prefer where it was not.
    """
    best: str | None = trust["best"] if trust is not None else None
    return next(name for name in (best, otherwise, QUICK, *known) if name and name in known)
