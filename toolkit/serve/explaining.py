"""What an answer of the service rests on, by the method that is known to be the most faithful for this model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import recipes, runs
from toolkit.errors import ConfigError
from toolkit.explain.attributions import BY_NAME, available
from toolkit.pipeline import judge
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

    def explain(self, given: Mapping[str, Any], method: str | None) -> dict[str, Any]:
        """Score each word of one input.

        Args:
            given: Role → text.
            method: Name of a method; the default when None.

        Raises:
            ConfigError: There is no such method.
        """
        from toolkit.pipeline.explain import explain_one

        chosen = method or self.methods[0]
        if chosen not in self.methods:
            raise ConfigError(f"There is no method `{chosen}`.", f"Methods: {', '.join(self.methods)}.")
        texts = tuple(given[c.role] for c in self.stored.recipe.COLUMNS if c.kind == "text" and given.get(c.role))
        found, chances = explain_one(self.stored.subject, texts, chosen)
        definition = BY_NAME[chosen]
        return {
            "prediction": self.stored.labels[found.target],
            "score": round(float(chances[found.target]), 6),
            "method": {"name": chosen, "title": definition.title, "about": definition.about},
            "signed": definition.signed,
            "words": list(found.example.words),
            "scores": [round(float(score), 6) for score in found.scores[chosen]],
            "belief": UNMEASURED
            if self.trust is None
            else verdict([BY_NAME[name] for name in self.methods], self.trust)["headline"],
        }

    def _belief(self) -> str:
        if self.trust is None:
            return UNMEASURED
        return str(verdict([BY_NAME[name] for name in self.methods], self.trust)["headline"])


def explainer_for(target: str, stored: judge.StoredModel) -> Explainer | None:
    """Return what explains this model's answers; None where they are not the choice of one class for a text."""
    classifies = stored.recipe.COLUMNS[-1].kind == "label" and not recipes.generates(stored.recipe)
    if not classifies or not any(column.kind == "text" for column in stored.recipe.COLUMNS):
        return None
    trust = _measured(Path(target))
    best = trust["best"] if trust is not None else None
    known = [name for name in available() if trust is None or name in trust["methods"]]
    first = best or (QUICK if QUICK in known else known[0])
    return Explainer(stored, trust, [first, *(name for name in known if name != first)])


def _measured(run: Path) -> dict[str, Any] | None:
    """Read the newest of what `toolkit explain` measured for a run."""
    files = sorted((run / "explanations").glob("trust-*.json"), key=lambda file: file.stat().st_mtime)
    return runs.read_object(files[-1]) if files else None
