"""What was asked of a model beyond its test rows, as sections: robustness, bias, cost, and what answers rest on."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report import formats
from toolkit.report.sections.blocks import Block, Cell, Example, Examples, Section, Table, Text, estimated, place

_HEADINGS = {"text": ("When the text changes", "Texts"), "image": ("When the picture changes", "Pictures")}


def robustness(result: Mapping[str, Any]) -> list[Section]:
    """Whether the model keeps its answer when a text changes and its meaning does not."""
    rows = [
        [
            Cell(row["title"] or row["name"]),
            Cell(formats.count(row["changed"])),
            estimated(row["difference"], signed=True, alert=_worse(row["difference"])),
            estimated(row["flipped"]),
        ]
        for row in result["invariance"]
    ]
    title, what = _HEADINGS.get(result["kind"], _HEADINGS["text"])
    if not rows:
        return [Section("robustness", title, f"Not tested. {result['not_tested']}")] if result["not_tested"] else []
    columns = ["Change", f"{what} changed", "Accuracy on these, after minus before", "Answers that changed"]
    blocks: list[Block] = [Table("Changes that leave the meaning alone", columns, rows)]
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
    row, language = ("picture", "") if result["kind"] == "image" else ("text", ", in English")
    lead = f"{formats.count(result['rows'])} {row}s were changed in ways that leave their meaning alone{language}. "
    lead += f"Both answers are compared {row} by {row}; the intervals of the accuracy hold jointly for all changes."
    return [Section("robustness", title, lead, blocks)]


def _worse(cell: Mapping[str, Any]) -> str:
    return "clearly worse" if cell["high"] is not None and cell["high"] < 0 else ""


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
    """What some answers rest on."""
    title = "What answers rest on"
    if not result["examples"]:
        return [Section("explanations", title, f"Not tested. {result['not_tested']}")] if result["not_tested"] else []
    titles = [method["title"] for method in result["methods"]]
    blocks: list[Block] = [
        Examples(heading, [_explained(example, titles) for example in result["examples"] if example["right"] is right])
        for right, heading in ((True, "Right answers"), (False, "Wrong answers"))
        if any(example["right"] is right for example in result["examples"])
    ]
    of_pictures = any(example["overlays"] for example in result["examples"])
    lead = "Right answers first, then wrong ones, each explained by two methods or by the one that the model allows. "
    lead += "; ".join(f"{method['title']}: {method['about']}" for method in result["methods"]) + ". "
    if of_pictures:
        lead += "Blue speaks for the answer, orange against it; the frame holds the strongest patch and what is "
        lead += "connected with it. "
    lead += "How faithful each is: --checks faithfulness, or toolkit explain RUN --measure."
    return [Section("explanations", title, lead, blocks)]


def faithfulness(result: Mapping[str, Any]) -> list[Section]:
    """How faithful each method of explaining is for the model."""
    title = "Which explanations are faithful"
    if not result["methods"]:
        return [Section("faithfulness", title, f"Not tested. {result['not_tested']}")] if result["not_tested"] else []
    fraction = result["unit"] == "fraction"
    what = "Names what matters most" if fraction else "Faithfulness"
    rows = [
        [Cell(method["title"] or method["name"]), estimated(method, result["unit"] or "score")]
        for method in result["methods"]
    ]
    blocks: list[Block] = [Table("Methods", ["Method", what], rows)]
    blocks += [Text(line) for line in (*result["statements"], *result["warnings"])]
    lead = f"{result['headline']} " if result["headline"] else ""
    if not fraction:
        lead += "Faithfulness is comprehensiveness minus sufficiency: how far the class falls when the top words or "
        lead += "patches are left out, less how far it falls when they alone are kept."
    return [Section("faithfulness", title, lead.strip(), blocks)]


def _explained(example: Mapping[str, Any], titles: Sequence[str]) -> Example:
    pictures = [(example["picture"], "the picture")] if example["picture"] else []
    pictures += list(zip(example["overlays"], titles, strict=False))
    words = [f"{title}: {', '.join(listed)}" for title, listed in zip(titles, example["words"], strict=False) if listed]
    sure = f"{formats.measure(example['confidence'], 'fraction')} sure"
    return Example(
        [formats.clip(example["text"])],
        truth=example["label"],
        taken="" if example["right"] else example["prediction"],
        remarks=[sure, *words],
        place=place(example["file"], example["row"]),
        pictures=pictures,
    )


def bias(result: Mapping[str, Any]) -> list[Section]:
    """Whether who is spoken of changes the answer."""
    studies = [study for study in result["studies"] if study["category"]]
    title = "When other people are spoken of"
    if not studies:
        return [Section("bias", title, f"Not tested. {result['not_tested']}")] if result["not_tested"] else []
    where = {"data": "texts of the data", "sentences": "neutral sentences"}
    rows = [
        [
            Cell(study["category"]),
            Cell(where.get(study["source"], study["source"])),
            Cell(formats.count(study["texts"])),
            Cell(formats.count(study["versions"])),
            estimated(study["flipped"]),
        ]
        for study in studies
    ]
    columns = ["What is swapped", "In", "Texts", "Versions of each", "Answer depends on it"]
    blocks: list[Block] = [Table("Swaps", columns, rows, words=frozenset({1}))]
    gaps = [
        [
            Cell(f"{gap['group']} against {gap['versus']}"),
            Cell(f"{study['category']}, {where.get(study['source'], study['source'])}"),
            estimated(gap["score"], "score", signed=True, alert="clear" if gap["clear"] else ""),
        ]
        for study in studies
        for gap in study["gaps"]
    ]
    if gaps:
        measured = "How much more positive, on a scale from −1 to 1"
        blocks.append(Table("Gaps", ["Group", "Swapped", measured], gaps, words=frozenset({1})))
    categories = ", ".join(dict.fromkeys(study["category"] for study in studies))
    tested = f"Tested: whether the answer changes with {categories}, by English words swapped one for one."
    blocks.append(Text(f"{tested} Not tested: {result['not_tested']}" if result["not_tested"] else tested))
    failures = [
        _changed(failure, failure["groups"] or study["category"])
        for study in studies
        for failure in study["failures"][:2]
    ]
    if failures:
        blocks.append(Examples("Answers that depend on who is spoken of", failures))
    lead = "The same texts, with other people in them. Intervals within one kind of swap hold jointly."
    return [Section("bias", title, lead, blocks)]


_RATES = {
    "accuracy": "Right",
    "selection_rate": "Given the second class",
    "true_positive_rate": "Given it where it is true",
    "false_positive_rate": "Given it where it is not",
}


def fairness(result: Mapping[str, Any]) -> list[Section]:
    """Figures for the groups of people that a column names."""
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
        Table("Groups", [result["column"], "Rows", "Right", *(_RATES[name] for name in rates)], rows)
    ]
    gaps = [
        [Cell(_RATES.get(gap["figure"], gap["figure"])), Cell(_rate(gap["value"])), Cell(formats.p_value(gap["p"]))]
        for gap in result["gaps"]
    ]
    if gaps:
        blocks.append(Table("Gaps", ["Widest gap between groups", "Gap", "Chance of so wide a gap by lot"], gaps))
    lead = (
        f"By the column {result['column']}; groups of fewer than {formats.count(result['smallest'])} rows are left out"
    )
    lead += f" ({', '.join(result['left_out'])})." if result["left_out"] else "."
    return [Section("fairness", "How groups of people are treated", lead, blocks)]


def _rate(value: Any) -> str:
    return formats.measure(value, "fraction") if isinstance(value, int | float) else "–"


def cost(result: Mapping[str, Any], model: Mapping[str, Any]) -> list[Section]:
    """What a prediction costs."""
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
            Cell(f"{row['p50_ms']:.1f} ms"),
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
    lead += f"{result['timed'] or 'forward passes'} over real examples, whose inputs were prepared before. "
    return [Section("cost", "What a prediction costs", f"{lead}Energy: {result['energy'] or 'not measured'}.", [table])]


_CHECKS = {"robustness": ("rows", "not_tested"), "bias": ("studies", "not_tested"), "cost": ("timings",)}


def untested(evaluation: Mapping[str, Any]) -> list[Section]:
    """Say which of the checks nobody asked for."""
    missing = [name for name, keys in _CHECKS.items() if not any(evaluation[name][key] for key in keys)]
    if not missing or not evaluation["metrics"]:
        return []
    *others, last = missing
    named = f"{', '.join(others)} and {last}" if others else last
    lead = f"{named.capitalize()} were not looked at: " if others else f"{named.capitalize()} was not looked at: "
    return [Section("untested", "Not looked at", f"{lead}toolkit evaluate MODEL --checks {','.join(missing)}.")]
