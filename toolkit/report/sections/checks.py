"""The optional checks of a model as sections: robustness, explanations, bias, fairness and cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report import formats
from toolkit.report.sections.blocks import Block, Cell, Example, Examples, Section, Table, Text, estimated, place

# Kind of input in a report → plural, singular, and the language of its perturbations
_INPUTS = {
    "text": ("Texts", "text", ", in English"),
    "pair": ("Pairs", "pair", ", in English"),
    "words": ("Texts", "text", ""),  # changes to single words need no lists
    "image": ("Pictures", "picture", ""),
    "audio": ("Recordings", "recording", ""),
}


def robustness(result: Mapping[str, Any]) -> list[Section]:
    """Whether predictions stay the same when an input changes and its meaning does not."""
    unit, lower = result["unit"] or "fraction", result["better"] == "lower"
    moved = any(row["moved"]["value"] is not None for row in result["invariance"])
    rows = [
        [
            Cell(row["title"] or row["name"]),
            Cell(formats.count(row["changed"])),
            estimated(row["difference"], unit, signed=True, alert=_worse(row["difference"], lower=lower)),
            *([estimated(row["moved"], "value")] if moved else []),
            estimated(row["flipped"]),
        ]
        for row in result["invariance"]
    ]
    title = "Robustness"
    what, row, language = _INPUTS.get(result["kind"], _INPUTS["text"])
    if not rows:
        return [Section("robustness", title, f"Not tested. {result['not_tested']}")] if result["not_tested"] else []
    metric = result["metric"] or "accuracy"
    moves = ["Mean change of the prediction", "Moved by more than the half width"]
    columns = ["Perturbation", f"{what} changed", f"Change of {metric}"]
    columns += moves if moved else ["Predictions that changed"]
    blocks: list[Block] = [Table("Perturbations that preserve the meaning", columns, rows)]
    expected = [
        [Cell(row["title"] or row["name"]), Cell(formats.count(row["tried"])), estimated(row["failed"])]
        for row in result["expectations"]
    ]
    if expected:
        blocks.append(Table("Expectations", ["Expectation", "Tried", "Failed"], expected))
    if result["not_tested"]:
        blocks.append(Text(f"Not tested. {result['not_tested']}"))
    failures = [
        _changed(failure, row["title"] or row["name"])
        for row in (*result["invariance"], *result["expectations"])
        for failure in row["failures"][:2]
    ]
    if failures:
        blocks.append(Examples("Failures", failures))
    lead = f"{formats.count(result['rows'])} {row}s were perturbed in ways that preserve their meaning{language}. "
    lead += "Predictions before and after are compared pairwise; the intervals of the "
    level = result["difference_confidence"]
    lead += f"{metric} hold jointly for all perturbations{f' (each at {100 * level:.4g} %)' if level else ''}."
    if moved and result["half_width"] is None:
        lead += " The model has no prediction intervals, so moved predictions are not counted."
    elif moved:
        lead += f" The half width of the prediction intervals is {formats.measure(result['half_width'], 'score')}."
    return [Section("robustness", title, lead, blocks)]


def _worse(cell: Mapping[str, Any], *, lower: bool) -> str:
    if cell["low"] is None or cell["high"] is None:
        return ""
    return "significantly worse" if (cell["low"] > 0 if lower else cell["high"] < 0) else ""


def _changed(failure: Mapping[str, Any], title: str) -> Example:
    texts = [failure["text"], failure["changed"]]
    pictures = list(zip([failure["picture"], failure["changed_picture"]], texts, strict=True))
    return Example(
        [formats.clip(text) for text in texts if text != title],
        remarks=[title, f"{failure['before']} → {failure['after']}"],
        place=place(failure["file"], failure["row"]),
        pictures=pictures,
    )


def explanations(result: Mapping[str, Any]) -> list[Section]:
    """Explanations of some predictions."""
    title = "Explanations of sample predictions"
    if not result["examples"]:
        return [Section("explanations", title, f"Not tested. {result['not_tested']}")] if result["not_tested"] else []
    titles = [method["title"] for method in result["methods"]]
    of_numbers = all(example["confidence"] is None for example in result["examples"])
    headings = ("Small errors", "Large errors") if of_numbers else ("Correct predictions", "Wrong predictions")
    blocks: list[Block] = [
        Examples(heading, [_explained(example, titles) for example in result["examples"] if example["right"] is right])
        for right, heading in zip((True, False), headings, strict=True)
        if any(example["right"] is right for example in result["examples"])
    ]
    of_pictures = any(example["overlays"] for example in result["examples"])
    lead = "Predictions with small errors first, then" if of_numbers else "Correct predictions first, then wrong ones,"
    lead += " those with large ones," if of_numbers else ""
    lead += " each explained by two methods, or by one if the model supports no other. "
    lead += "; ".join(f"{method['title']}: {method['about']}" for method in result["methods"]) + ". "
    if result["pairs"]:
        lead += "(1) and (2) mark the words of the first and the second text. "
    if of_pictures:
        effects = ("raise the number", "lower it") if of_numbers else ("support the prediction", "oppose it")
        lead += f"Blue patches {effects[0]}, orange patches {effects[1]}; the frame encloses the strongest patch and "
        lead += "the patches connected with it. "
    lead += "To measure how faithful each method is: --checks faithfulness, or toolkit explain RUN --measure."
    return [Section("explanations", title, lead, blocks)]


def faithfulness(result: Mapping[str, Any]) -> list[Section]:
    """How faithful each explanation method is for the model."""
    title = "Faithfulness of explanations"
    if not result["methods"]:
        return [Section("faithfulness", title, f"Not tested. {result['not_tested']}")] if result["not_tested"] else []
    fraction = result["unit"] == "fraction"
    what = "Identifies the most important word" if fraction else "Faithfulness"
    rows = [
        [Cell(method["title"] or method["name"]), estimated(method, result["unit"] or "score")]
        for method in result["methods"]
    ]
    blocks: list[Block] = [Table("Methods", ["Method", what], rows)]
    blocks += [Text(line) for line in (*result["statements"], *result["warnings"])]
    lead = f"{result['headline']} " if result["headline"] else ""
    if not fraction:
        lead += (
            "Faithfulness is comprehensiveness minus sufficiency: the "
            f"{result['change'] or 'drop of the class probability'} when the top words "
        )
        lead += "or patches are removed, minus the same when only they are kept."
    return [Section("faithfulness", title, lead.strip(), blocks)]


def _explained(example: Mapping[str, Any], titles: Sequence[str]) -> Example:
    pictures = [(example["picture"], "the picture")] if example["picture"] else []
    pictures += list(zip(example["overlays"], titles, strict=False))
    words = [f"{title}: {', '.join(listed)}" for title, listed in zip(titles, example["words"], strict=False) if listed]
    sure = [] if example["confidence"] is None else [f"confidence {formats.measure(example['confidence'], 'fraction')}"]
    return Example(
        [formats.clip(example["text"])],
        truth=example["label"],
        taken="" if example["right"] and sure else example["prediction"],
        remarks=[*sure, *words],
        place=place(example["file"], example["row"]),
        pictures=pictures,
    )


# What gaps between groups are of → heading and unit
_GAPS = {
    "score": ("Difference of the score, on a scale from −1 to 1", "score"),
    "probability": ("Difference of the probability", "fraction"),
    "number": ("Difference of the number", "value"),
}


def bias(result: Mapping[str, Any]) -> list[Section]:
    """Whether the prediction depends on the people that a text mentions."""
    studies = [study for study in result["studies"] if study["category"]]
    if not studies:  # also of inputs that mention nobody
        return [Section("bias", "Bias", f"Not tested. {result['not_tested']}")] if result["not_tested"] else []
    title = "Bias: people mentioned in the text"
    where = {"data": "texts of the data", "sentences": "neutral sentences"}
    rows = [
        [
            Cell(study["category"]),
            Cell(where.get(study["source"], study["source"])),
            Cell(formats.count(study["texts"])),
            Cell(formats.count(study["versions"])),
            Cell(formats.count(study["terms"])),
            estimated(study["flipped"]),
        ]
        for study in studies
    ]
    columns = ["Swapped", "In", "Texts", "Versions of each", "Terms of each", "Predictions that changed"]
    blocks: list[Block] = [Table("Swaps", columns, rows, words=frozenset({1}))]
    measure = result["measure"] or "score"
    measured, unit = _GAPS.get(measure, _GAPS["score"])
    gaps = [
        [
            *([Cell(gap["label"] or "–")] if measure == "probability" else []),
            Cell(f"{gap['group']} against {gap['versus']}"),
            Cell(f"{study['category']}, {where.get(study['source'], study['source'])}"),
            estimated(gap["score"], unit, signed=True, alert="significant" if gap["clear"] else ""),
        ]
        for study in studies
        for gap in study["gaps"]
    ]
    if gaps:
        of_class = measure == "probability"
        columns = [*(["Class"] if of_class else []), "Group", "Swapped", measured]
        blocks.append(Table("Gaps", columns, gaps, words=frozenset({1, 2} if of_class else {1})))
    categories = ", ".join(dict.fromkeys(study["category"] for study in studies))
    tested = f"Tested: whether the prediction changes with {categories}, by swapping single English words."
    blocks.append(Text(f"{tested} Not tested: {result['not_tested']}" if result["not_tested"] else tested))
    failures = [
        _changed(failure, failure["groups"] or study["category"])
        for study in studies
        for failure in study["failures"][:2]
    ]
    if failures:
        blocks.append(Examples("Predictions that changed", failures))
    lead = (
        "The same texts are predicted for other groups of people. A gap is the difference of a group from the others "
    )
    lead += "in means over terms, such as names; its interval is Student's, from how terms differ within groups. "
    if result["claims"] and result["confidence"] is not None:
        level = formats.measure(1 - result["confidence"], "fraction")
        lead += (
            f"{formats.count(result['claims'])} gaps were tested; all intervals hold jointly, and the probability of "
        )
        lead += f"any false claim is at most {level} (Bonferroni)."
    if any(study["claims"] == 0 and study["gaps"] for study in studies):
        lead += " Where two groups have a single term each, a gap between groups cannot be told from one between words."
    return [Section("bias", title, lead, blocks)]


_RATES = {
    "accuracy": "Accuracy",
    "selection_rate": "Selection rate",
    "true_positive_rate": "True positive rate",
    "false_positive_rate": "False positive rate",
}


def fairness(result: Mapping[str, Any]) -> list[Section]:
    """Metrics for the groups of people that a column defines."""
    if not result["groups"]:
        return []
    rates = [name for name in _RATES if any(name in group["rates"] for group in result["groups"])]
    rows = [
        [
            Cell(group["name"]),
            Cell(formats.count(group["rows"])),
            estimated(group["accuracy"]),
            *(Cell(_rate(group["rates"].get(name))) for name in rates),
        ]
        for group in result["groups"]
    ]
    blocks: list[Block] = [
        Table("Groups", [result["column"], "Rows", "Accuracy", *(_RATES[name] for name in rates)], rows)
    ]
    gaps = [
        [Cell(_RATES.get(gap["figure"], gap["figure"])), estimated(gap), Cell(formats.p_value(gap["p"]))]
        for gap in result["gaps"]
    ]
    if gaps:
        blocks.append(Table("Gaps", ["Largest gap between groups", "Gap", "p-value"], gaps))
    lead = (
        f"By the column {result['column']}; groups of fewer than {formats.count(result['smallest'])} rows are omitted"
    )
    lead += f" ({', '.join(result['left_out'])})." if result["left_out"] else "."
    if gaps and result["gaps_confidence"] is not None:
        lead += f" The intervals of the gaps hold jointly (each at {100 * result['gaps_confidence']:.4g} %)."
    return [Section("fairness", "Fairness between groups", lead, blocks)]


def _rate(value: Any) -> str:
    return formats.measure(value, "fraction") if isinstance(value, int | float) else "–"


def cost(result: Mapping[str, Any], model: Mapping[str, Any]) -> list[Section]:
    """Latency and energy of a prediction."""
    timings = [row for row in result["timings"] if row["p50_ms"] is not None]
    if not timings:
        return []
    energy = any(row["joules_per_example"] is not None for row in timings)
    lengths = any(row["length"] is not None for row in timings)
    columns = ["Batch", *(["Tokens"] if lengths else []), "Median", "99th percentile", "Examples per second"]
    rows = [
        [
            Cell(formats.count(row["batch_size"])),
            *([Cell(formats.count(row["length"]))] if lengths else []),
            _median(row),
            Cell(f"{row['p99_ms']:.1f} ms" if row["p99_ms"] is not None else "–"),
            Cell(formats.count(round(row["examples_per_second"] or 0, 1))),
            *([Cell(f"{row['joules_per_example'] or 0:.3g} J")] if energy else []),
        ]
        for row in timings
    ]
    table = Table("Latency", [*columns, "Energy per example"] if energy else columns, rows)
    lead = f"{formats.count(model['parameters'])} parameters, {formats.size(result['bytes_on_disk'])} on disk. "
    lead += f"Timed on {result['device'] or 'this machine'}"
    lead += f" with {formats.count(result['threads'])} threads; " if result["threads"] is not None else "; "
    lead += f"{result['timed'] or 'forward passes'} on real examples; preprocessing is not included."
    blocks: list[Block] = [table]
    if energy:
        least = min(row["joules_per_example"] for row in timings if row["joules_per_example"] is not None)
        lead += f" A prediction takes {least:.3g} J at the least; counter: {result['energy']}."
    else:  # below the lead, which a model card repeats
        blocks.append(Text(f"Energy: {result['energy'] or 'not measured'}."))
    return [Section("cost", "Cost of a prediction", lead, blocks)]


def _median(row: Mapping[str, Any]) -> Cell:
    """The typical median of a round with its interval; of reports without rounds the median of all passes."""
    median = row["median_ms"]
    value = row["p50_ms"] if median["value"] is None else median["value"]
    return Cell(f"{value:.1f} ms", formats.interval(median["low"], median["high"], "points"))


def untested(evaluation: Mapping[str, Any]) -> list[Section]:
    """Name the checks that apply and were not run."""
    missing, command = evaluation["not_checked"]["checks"], evaluation["not_checked"]["command"]
    if not missing or not command or not evaluation["metrics"]:
        return []
    *others, last = missing
    named = f"{', '.join(others)} and {last}" if others else last
    lead = f"{named.capitalize()} {'were' if others else 'was'} not checked. To check: {command}"
    return [Section("untested", "Not checked", lead)]
