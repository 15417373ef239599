"""Whether predictions change when a text mentions other people.

Counterfactual swaps: terms of one group replace those of another, in texts of the data and in neutral
sentences, and the model's predictions for the versions of one text are compared (after Dixon et al. 2018, "Measuring
and Mitigating Unintended Bias in Text Classification"; Garg et al. 2019, "Counterfactual Fairness in Text
Classification through Robustness"). Words are swapped one for one: a few versions are ungrammatical.

A gap between groups is claimed only where it exceeds what terms of one group differ by (`term_gaps`). The chance of any
false claim of the section is at most one minus the confidence: each study has an equal part of it, and each gap of a
study an equal part of that (weighted Bonferroni; Rosenthal and Rubin 1983, "Ensemble-Adjusted p Values").
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.evaluation.check import Check, named
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.perturbations.counterfactual import (
    CounterfactualModel,
    as_dict,
    counterfactual_model,
    examples,
)
from toolkit.evaluation.perturbations.text_changes import Lists, replace
from toolkit.evaluation.scores import joined
from toolkit.evaluation.statistics import term_gaps
from toolkit.evaluation.statistics.clusters import Floats, Integers, kept
from toolkit.tasks.task import Task

Texts = tuple[str, ...]

MOST_ROWS = 200  # texts of the data for each category, chosen at random from more
LEAST_ROWS = 10
SHOWN = 5
MOST_GAPS = 12  # of several classes a row
NOT_TESTED = (
    "Other traits, languages other than English, indirect mentions, and whether error rates differ between groups of "
    "authors."
)
PAIRS = f"Pairs with fewer than {LEAST_ROWS} mentions in the data: there are no neutral sentences for pairs."
BY_COLUMN = "For metrics by group, name the column of groups in evaluation.group_column."


@dataclass(frozen=True)
class _Study:
    """Texts in versions that differ in the people mentioned.

    Attributes:
        category: The attribute in which the groups differ.
        source: "data" or "sentences".
        groups: Their names.
        versions: For each example its version for each group. Shape (N, G).
        terms: Place in the lists of the term that an example mentions. Shape (N,).
        places: File and row of each example.
        clusters: Number of each example's cluster; None where examples are independent. Shape (N,).
    """

    category: str
    source: str
    groups: Sequence[str]
    versions: Sequence[Sequence[Texts]]
    terms: Integers
    places: Sequence[tuple[Any, Any]]
    clusters: Integers | None


def section(
    model: CounterfactualModel, texts: Sequence[Texts], places: Sequence[tuple[Any, Any]], lists: Lists
) -> dict[str, Any]:
    """Return the report's section on bias.

    Args:
        model: The model.
        texts: Of each example of the data: one, or two for pairs, in which people are swapped alike.
        places: File and row of each example.
        lists: Words and sentences of the checks.
    """
    parts: list[_Study] = []
    single = all(len(example) == 1 for example in texts)
    for category, entry in lists["identity"].items():
        groups = {str(group): [str(term) for term in terms] for group, terms in entry["groups"].items()}
        if len(groups) < 2:
            continue
        terms_of = _holding(texts, groups)
        rows = list(terms_of)
        if len(rows) > MOST_ROWS:
            rows = sorted(random.Random(f"{category} {model.seed}").sample(rows, MOST_ROWS))
        if len(rows) >= LEAST_ROWS:
            versions = [[_swapped(texts[row], groups, group) for group in groups] for row in rows]
            terms = np.array([terms_of[row] for row in rows], np.int64)
            there = [places[row] for row in rows]
            together = kept(model.clusters, rows)
            parts.append(_Study(category, "data", list(groups), versions, terms, there, together))
        sentences, terms = _filled(entry, groups) if single else ([], np.zeros(0, np.int64))
        if len(sentences) >= LEAST_ROWS:
            nowhere: list[tuple[Any, Any]] = [(None, None)] * len(sentences)
            parts.append(_Study(category, "sentences", list(groups), sentences, terms, nowhere, None))
    claimed = model.claims.get("bias", model.confidence)
    level = 1 - (1 - claimed) / max(1, len(parts))
    studies = [_described(model, part, level) for part in parts]
    return {
        "confidence": model.confidence,
        "claims_confidence": claimed,
        "scored": model.weights is not None or model.measure != "score",
        "measure": model.measure,
        "claims": sum(study["claims"] for study in studies),
        "studies": studies,
        "not_tested": NOT_TESTED if single else f"{NOT_TESTED} {PAIRS}",
    }


def _holding(texts: Sequence[Texts], groups: Mapping[str, Sequence[str]]) -> dict[int, int]:
    """Return the examples of which a text holds a term of any group, with the place of the first one in its list."""
    places: dict[str, int] = {}
    for terms in groups.values():
        for place, term in enumerate(terms):
            places.setdefault(term.casefold(), place)
    pattern = re.compile(
        rf"(?<!\w)({'|'.join(map(re.escape, sorted(places, key=len, reverse=True)))})(?!\w)", re.IGNORECASE
    )
    found = {row: next(filter(None, map(pattern.search, example)), None) for row, example in enumerate(texts)}
    return {row: places[match[1].casefold()] for row, match in found.items() if match is not None}


def _swapped(texts: Texts, groups: Mapping[str, Sequence[str]], wanted: str) -> Texts:
    """Replace the terms of every other group by those of one group."""
    own = groups[wanted]
    pairs = [
        (term, own[place % len(own)])
        for group, terms in groups.items()
        if group != wanted
        for place, term in enumerate(terms)
        if term not in own
    ]
    return tuple(replace(text, pairs) for text in texts)


def _filled(entry: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> tuple[list[list[Texts]], Integers]:
    """Fill the templates of a category: for each template and place in the lists the versions, one for each group.

    The places are returned beside them.
    """
    places = [place for place in entry.get("terms", [0]) if all(place < len(terms) for terms in groups.values())]
    filled = [(template, place) for template in entry.get("templates", []) for place in places]
    versions: list[list[Texts]] = [
        [(_sentence(template, terms[place]),) for terms in groups.values()] for template, place in filled
    ]
    return versions, np.array([place for _, place in filled], np.int64)


def _sentence(template: str, term: str) -> str:
    text = template.format(term)
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    return text[:1].upper() + text[1:]


def _described(model: CounterfactualModel, study: _Study, level: float) -> dict[str, Any]:
    """Compare the predictions for the versions of each example; the gaps of the study hold jointly at `level`."""
    versions, groups = study.versions, study.groups
    predictions = model.predict([example for row in versions for example in row])
    shape, flat = (len(versions), len(groups)), list(predictions["prediction"])
    predicted = [flat[start : start + len(groups)] for start in range(0, len(flat), len(groups))]
    measured = {name: values.reshape(shape) for name, values in model.measured(predictions).items()}
    pairs = [_apart(model, row) for row in predicted]
    flipped = [model.differ(row[first], row[other]) for row, (first, other) in zip(predicted, pairs, strict=True)]
    known = not model.of_numbers or model.width is not None
    claims = len(measured) * _compared(groups) if _testable(study) else 0
    confidence = 1 - (1 - level) / max(1, claims)
    return {
        "category": study.category,
        "source": study.source,
        "texts": len(versions),
        "versions": len(groups),
        "terms": len(np.unique(study.terms)),
        "claims": claims,
        "degrees": term_gaps.degrees(len(np.unique(study.terms)), len(groups)),
        "gap_confidence": confidence,
        "groups": list(groups),
        "means": [
            {"label": name or None, **term_gaps.means(scores, study.terms).as_dict()}
            for name, scores in measured.items()
        ],
        "flipped": model.share(flipped, study.clusters) if known else None,
        "gaps": _gaps(study, measured, confidence),
        "failures": _failures(model, groups, versions, predicted, measured, flipped, pairs, study.places),
    }


def _compared(groups: Sequence[str]) -> int:
    """Return how many groups are compared with the others: with two groups the second is the first, turned round."""
    return 1 if len(groups) == 2 else len(groups)


def _testable(study: _Study) -> bool:
    """Whether terms can be told from groups: two groups with a term each differ in both at once."""
    return len(study.groups) > 2 or len(np.unique(study.terms)) > 1


def _apart(model: CounterfactualModel, predicted: Sequence[Any]) -> tuple[int, int]:
    """Return the two versions of a text to compare: the first and one with another prediction, or the extreme ones."""
    if model.of_numbers:
        return int(np.argmin(predicted)), int(np.argmax(predicted))
    return 0, next((number for number, other in enumerate(predicted) if other != predicted[0]), 0)


def _gaps(study: _Study, measured: Mapping[str, Floats], confidence: float) -> list[dict[str, Any]]:
    """Return how much higher each group's versions are scored than those of the other groups, on average over terms.

    Of many classes the largest gaps are returned, significant ones first.
    """
    versus = study.groups[1] if len(study.groups) == 2 else "the others"
    found: list[dict[str, Any]] = []
    for name, scores in measured.items():
        gaps = term_gaps.gaps(scores, study.terms)
        for number, group in enumerate(study.groups[: _compared(study.groups)]):
            interval = gaps.interval(number, confidence)
            unknown = {"value": float(gaps.values[number]), "low": None, "high": None}
            score = unknown if interval is None else as_dict(interval)
            clear = interval is not None and not interval.low <= 0 <= interval.high
            found.append({"label": name or None, "group": group, "versus": versus, "score": score, "clear": clear})
    if len(measured) < 2:
        return found
    return sorted(found, key=lambda gap: (not gap["clear"], -abs(gap["score"]["value"])))[:MOST_GAPS]


def _failures(
    model: CounterfactualModel,
    groups: Sequence[str],
    versions: Sequence[Sequence[Texts]],
    predicted: Sequence[Sequence[Any]],
    measured: Mapping[str, Floats],
    flipped: Sequence[bool],
    pairs: Sequence[tuple[int, int]],
    places: Sequence[tuple[Any, Any]],
) -> list[dict[str, Any]]:
    """Return the texts whose prediction depends on the group, those with the largest difference of a score first."""
    widest = np.max([np.ptp(scores, axis=1) for scores in measured.values()] or [np.zeros(len(versions))], axis=0)
    rows = [row for row in np.argsort(-widest, kind="stable").tolist() if flipped[row]][:SHOWN]
    failures = []
    for row in rows:
        first, other = pairs[row]
        failures.append(
            {
                "file": places[row][0],
                "row": places[row][1],
                "text": joined(versions[row][first]),
                "changed": joined(versions[row][other]),
                "before": model.shown(versions[row][first], predicted[row][first]),
                "after": model.shown(versions[row][other], predicted[row][other]),
                "groups": f"{groups[first]}, {groups[other]}",
            }
        )
    return failures


def _run(context: EvaluationContext) -> dict[str, Any]:
    kind = context.task.input_kind
    if kind is not None and kind.swaps is not None:
        section: dict[str, Any] = kind.swaps(
            counterfactual_model(context), examples(context), context.places, context.config.evaluation
        )
        return section
    reason = "this task: the check is only for classes and numbers of texts and of pairs"
    if kind is not None:
        reason = f"{kind.nouns[1]}: people in them cannot be swapped"
    return {"not_tested": f"Whether predictions depend on the people mentioned, in {reason}. {BY_COLUMN}"}


def _applies(task: Task) -> bool:
    return task.input_kind is not None and task.input_kind.swaps is not None


CHECK = Check("bias", _run, applies=_applies, wanted=named("bias"), stage=lambda _context: "Running the bias check")
