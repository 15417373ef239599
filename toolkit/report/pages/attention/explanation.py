"""The page that explains predictions: words or patches shaded by each method, and the faithfulness of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from toolkit.evaluation.statistics.temperature import at_temperature
from toolkit.evaluation.stored_calibration import stored_temperature
from toolkit.explanation.attributions import Explanation, Method, described
from toolkit.explanation.faithfulness import MARGIN
from toolkit.explanation.patches import Picture
from toolkit.explanation.question import ONE_CLASS, Outcome
from toolkit.explanation.words import marked
from toolkit.report.document.figures import detectable
from toolkit.report.pages.render import environment
from toolkit.report.plots import attention_maps, geometry, overlays

UNMOVED = 0.5  # a rank correlation: above it, random weights give nearly the ranking of the trained ones

Explained = Sequence[tuple[Explanation, np.ndarray[Any, Any]]]


@dataclass(frozen=True)
class Shown:
    """How the explained outputs of a model are shown.

    Attributes:
        outcome: What the outputs mean.
        stored: What is stored with the model of validation rows, by which classes are predicted.
        number: (value, names of the classes) → text, of a number.
    """

    outcome: Outcome = ONE_CLASS
    stored: Mapping[str, Any] = field(default_factory=dict)
    number: Callable[[Any, Sequence[str]], str] = lambda value, _labels: f"{value:.6g}"

    def of(self, explanation: Explanation, values: np.ndarray[Any, Any], labels: Sequence[str]) -> dict[str, Any]:
        """Return the class with its probability, and whether it is predicted; or the number as text and as value.

        Where a temperature is stored with the model, the calibrated probability is added.
        """
        target = explanation.target
        value = float(values[target])
        if self.outcome.number:
            return {"prediction": self.number(value, labels), "predicted": True, "probability": None, "value": value}
        name = labels[target] if target < len(labels) else str(target)
        predicted = target in self.outcome.chosen(values, self.stored)
        shown = {"prediction": name, "predicted": predicted, "probability": value, "value": None}
        temperature = stored_temperature({"calibration": self.stored})
        if temperature is None:
            return shown
        return {**shown, "calibrated_probability": at_temperature(values.tolist(), temperature)[target]}


def build(
    explained: Explained,
    methods: Sequence[Method],
    trust: Mapping[str, Any] | None,
    *,
    head: Mapping[str, Any],
    model: Mapping[str, Any],
    notes: Sequence[str],
    verdict: Mapping[str, Any],
    regions: Mapping[str, Any] | None = None,
    prediction: Shown = Shown(),
) -> dict[str, Any]:
    """Assemble the content of explanation.json.

    Args:
        explained: Each explanation, and the probability of each class or the number.
        methods: By which it was explained.
        trust: From `toolkit.explanation.trust`, if it was measured.
        head: The first keys.
        model: "name" and "origin" of the model, and "labels", the names of its classes.
        notes: Sentences for the reader.
        verdict: From `verdict`.
        regions: Method → how well the boxes around its top patches match given ones.
        prediction: How predictions are shown.
    """
    return {
        **head,
        "model": dict(model),
        "unit": "patch" if any(isinstance(item.example, Picture) for item, _ in explained) else "word",
        "of_numbers": prediction.outcome.number,
        "verdict": dict(verdict),
        "notes": list(notes),
        "methods": [
            {"name": m.name, "title": m.title, "about": m.about, "signed": m.signed}
            for m in _most_faithful_first(methods, trust)
        ],
        "trust": trust,
        "regions": regions,
        "texts": [{**_text(item), **prediction.of(item, values, model["labels"])} for item, values in explained],
    }


def _most_faithful_first(methods: Sequence[Method], trust: Mapping[str, Any] | None) -> list[Method]:
    """Order methods by their faithfulness; those that were not measured come last."""
    if trust is None:
        return list(methods)

    def place(method: Method) -> tuple[bool, bool, float]:
        figures = trust["methods"].get(method.name)
        return method.name != trust["best"], figures is None, -figures["faithfulness"]["value"] if figures else 0.0

    return sorted(methods, key=place)


def _measured(trust: Mapping[str, Any], of_pictures: bool, of_numbers: bool = False) -> list[Method]:
    """Return the methods that were measured."""
    return [described(name, of_pictures=of_pictures, of_numbers=of_numbers) for name in trust["methods"]]


def _text(explanation: Explanation) -> dict[str, Any]:
    example = explanation.example
    picture = {"grid": list(example.grid)} if isinstance(example, Picture) else {}
    asked = None if isinstance(example, Picture) else example.asked
    return {
        **picture,
        "asked": None if asked is None else {"number": asked + 1, "word": example.words[asked]},
        "text": " ⏎ ".join(example.texts),
        "words": list(example.words),
        "sources": list(getattr(example, "sources", ())),
        "scores": {name: [float(score) for score in scores] for name, scores in explanation.scores.items()},
        "tokens": list(example.tokens),
        "special_tokens": [example.tokens[place] for place in example.special],
        "special": {name: [float(score) for score in scores] for name, scores in explanation.special.items()},
        "completeness_error": explanation.completeness_error,
    }


def top_words(text: Mapping[str, Any], method: str, most: int = 5) -> list[tuple[str, float]]:
    """Return the words of a text, or of a pair, with the largest scores, whatever their sign, the largest first."""
    scores, words = text["scores"][method], marked(text["words"], text.get("sources", ()))
    order = sorted(range(len(scores)), key=lambda place: -abs(scores[place]))
    return [(words[place], scores[place]) for place in order[:most]]


def unmeasured(command: str) -> str:
    """Say that faithfulness was not measured, and which command measures it."""
    return f"The faithfulness of this explanation was not measured; measure it once with: {command}"


def verdict(trust: Mapping[str, Any] | None, command: str, *, of_pictures: bool = False) -> dict[str, Any]:
    """Summarize which methods are faithful.

    Args:
        trust: From `toolkit.explanation.trust`, if it was measured.
        command: The command that measures it.
        of_pictures: Whether the model classifies pictures.
    """
    if trust is None:
        return {"headline": unmeasured(command), "statements": [], "warnings": []}
    titles = {method.name: method.title for method in _measured(trust, of_pictures)}
    figures, best = trust["methods"], trust["best"]
    warnings = []
    chance = [titles[name] for name in titles if not figures[name]["beats_random"]]
    if chance and best is not None:
        warnings.append(f"Not significantly better than random scores: {_listed(chance)}.")
    unmoved = [titles[name] for name in titles if figures[name]["sensitivity"][-1]["low"] > UNMOVED]
    if unmoved:
        warnings.append(f"The ranking barely changes when all weights are randomized: {_listed(unmoved)}.")
    if best is None:
        return {
            "headline": f"No method explains this model better than random scores, on {trust['texts']} examples.",
            "statements": ["Do not read these figures as reasons for the predictions."],
            "warnings": warnings,
        }
    over = figures[best]["over_random"]
    headline = f"{titles[best]} is the most faithful method for this model."
    lead, runner_up = trust["lead"], trust["runner_up"] and _inside(titles[trust["runner_up"]])
    tied = lead is not None and lead["low"] <= 0
    if tied:
        headline = f"{titles[best]} and {runner_up} are the most faithful methods, without a significant difference."
    statements = [
        f"{'The first' if tied else 'It'} exceeds random scores by {_figure(over)} in faithfulness, on "
        f"{trust['texts']} examples of the model’s own data; the interval is corrected for {len(titles)} methods.",
    ]
    if lead is not None:
        ahead = f"It exceeds {runner_up} by {_figure(lead)}."
        apart = f"The difference between the two is {_figure(lead)}.{_detectable(lead, trust)}"
        statements.append(apart if tied else ahead)
    statements += _masked(trust, titles)
    if "leave-one-out" in (best, trust["runner_up"] if tied else best):
        statements.append(
            f"{titles['leave-one-out']} computes nearly what faithfulness measures, which favours it over other methods"
            + (
                f"; where another method is less faithful by less than {MARGIN:g}, the other is listed first."
                if tied
                else "."
            )
        )
    return {
        "headline": headline,
        "statements": statements,
        "warnings": warnings,
    }


def _detectable(lead: Mapping[str, Any], trust: Mapping[str, Any]) -> str:
    """Say which difference so many examples would show; the standard error is that of a normal interval."""
    confidence = trust["confidence"]
    error = (lead["high"] - lead["low"]) / 2 / NormalDist().inv_cdf(0.5 + confidence / 2)
    return detectable({"standard_error": error}, "score", confidence, trust["texts"])


def _masked(trust: Mapping[str, Any], titles: Mapping[str, str]) -> list[str]:
    """Say whether masking words instead of removing them names the same method."""
    masked = trust.get("masked")
    if masked is None:
        return []
    found = masked["best"]
    if found == trust["best"]:
        return ["With words masked instead of removed, it is the most faithful method, too."]
    other = f"{titles[found]} is the most faithful method" if found else "no method is better than random scores"
    return [f"With words masked instead of removed, {_inside(other)}: the choice depends on the measurement."]


def _listed(titles: Sequence[str]) -> str:
    return ", ".join([titles[0], *map(_inside, titles[1:])])


def _inside(title: str) -> str:
    """Write a title inside a sentence."""
    return title[0].lower() + title[1:]


def _figure(interval: Mapping[str, float]) -> str:
    return f"{interval['value']:.2f} ({interval['low']:.2f} to {interval['high']:.2f})".replace("-", "−")


def to_html(explanation: Mapping[str, Any], explained: Explained) -> str:
    """One self-contained page; its one script is named by its hash in the page's policy.

    Args:
        explanation: From `build`.
        explained: Its source, which also has the attention maps and pictures.
    """
    texts = explanation["texts"]
    recorded = [item for item, _ in explained if item.weights is not None]
    fitted = attention_maps.fit([item.weights for item in recorded if item.weights is not None])
    packed = [
        overlays.maps(item.example.name, item.example.pixels, weights)
        if isinstance(item.example, Picture)
        else attention_maps.pack(" ⏎ ".join(item.example.texts), item.example.tokens, weights)
        for item, weights in zip(recorded, fitted, strict=True)
    ]
    trust = explanation["trust"]
    named = _measured(trust, explanation["unit"] == "patch", explanation["of_numbers"]) if trust else []
    measured = [{"name": m.name, "title": m.title, "about": m.about} for m in _most_faithful_first(named, trust)]
    return (
        environment("html")
        .get_template("explanation/explain.html.j2")
        .render(
            **explanation,
            rows=[
                _rows(text, explanation["methods"], item.example)
                for text, (item, _) in zip(texts, explained, strict=True)
            ],
            pictures=[
                overlays.plain(item.example.pixels) if isinstance(item.example, Picture) else None
                for item, _ in explained
            ],
            measured=measured,
            picture=_picture(measured, trust) if trust else None,
            maps=packed,
            **attention_maps.script(),
        )
    )


def _rows(text: Mapping[str, Any], methods: Sequence[Mapping[str, Any]], example: Any) -> list[dict[str, Any]]:
    """Shade a text's words by each method, the strongest word of each full; special tokens on the same scale."""
    rows: list[dict[str, Any]] = []
    for method in methods:
        name = method["name"]
        scores = text["scores"][name]
        error = text["completeness_error"] if name == "integrated-gradients" else None
        if isinstance(example, Picture):
            overlay = overlays.overlay(example.pixels, scores, example.grid)
            rows.append({"method": method, "error": error, "overlay": overlay})
            continue
        largest = max((abs(score) for score in scores), default=0) or 1.0
        special = text["special"].get(name)
        words = [
            {**_shaded(word, score, largest), "asked": number == example.asked}
            for number, (word, score) in enumerate(zip(text["words"], scores, strict=True))
        ]
        rows.append(
            {
                "method": method,
                "error": error,
                "texts": _by_text(words, text["sources"]),
                "special": [
                    _shaded(token, score, largest)
                    for token, score in zip(text["special_tokens"], special or (), strict=False)
                ],
            }
        )
    return rows


def _by_text(words: Sequence[Any], sources: Sequence[int]) -> list[list[Any]]:
    """Return the words of each text of a pair; those of one text in a list of its own."""
    if not sources:
        return [list(words)]
    both = list(zip(words, sources, strict=True))
    return [[word for word, own in both if own == source] for source in sorted(set(sources))]


def _shaded(word: str, score: float, largest: float) -> dict[str, Any]:
    share = min(1.0, abs(score) / largest)
    against = score < 0 and share >= 0.05
    return {"word": word, "score": score, "share": f"{share:.2f}", "against": against, "asked": False}


def _picture(methods: Sequence[Mapping[str, Any]], trust: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the methods' faithfulness on one axis, random scores last."""
    figures = [(method["title"], trust["methods"][method["name"]]["faithfulness"]) for method in methods]
    figures.append(("Random scores", trust["random"]["faithfulness"]))
    plot = geometry.intervals([(f["value"], f["low"], f["high"]) for _, f in figures], percent=False)
    rows = [(title, {**figure, "unit": "score"}) for title, figure in figures]
    return {"title": "Faithfulness", "rows": rows, "plot": plot, "model": trust["best"] == methods[0]["name"]}


def draw(explanation: Mapping[str, Any], explained: Explained, folder: Path) -> list[Path]:
    """Draw each text as a PNG file, its words under every method and each layer's mean attention; or each picture.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    from toolkit.report.plots.explanation_images import draw_text

    paths, methods = [], explanation["methods"]
    for number, (text, (item, _)) in enumerate(zip(explanation["texts"], explained, strict=True), 1):
        if isinstance(item.example, Picture):
            columns = [(method["title"], text["scores"][method["name"]]) for method in methods]
            path = folder / f"picture-{number}.png"
            paths.append(overlays.draw(item.example.pixels, columns, item.example.grid, path))
        else:
            paths.append(draw_text(text, methods, item.weights, folder / f"text-{number}.png"))
    return paths
