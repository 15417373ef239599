"""From labels as they are written to class numbers and their names."""

import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config import normal_form as written_
from toolkit.data.formats import written_numbers
from toolkit.errors import DataError

FEW = 20  # so many values or fewer always count as classes
MISSING = {"na", "n/a", "nan", "null", "none", "?", "#n/a", "<na>"}
_JOINED = re.compile(r"[;|]")
_UNLABELLED = {"unsup", "unlabeled", "unlabelled"}  # labels, or folders, that mean "no label"
_NO_LABEL = "-1"  # written by benchmarks in test parts with secret labels
_FULL = "★⭐🌟"
_STARS = re.compile(r"[★⭐🌟]+[☆✩]*\ufe0f?|[☆✩]+")
_RANKED = re.compile(r"([\d.,]+)\s*(?:stars?|\s*/\s*\d+|out of \d+)", re.IGNORECASE)
_QUANTITY = re.compile(r"[^\d.,+\u2212-]{0,6}([-+\u2212]?\d[\d.,' \u00a0]*?)\s*[^\d]{0,12}")
QUANTITIES = (
    "They look like quantities: the recipes `text` and `image` predict them with --target number, if they are written "
    "as 1234.5, without units; or "
)
_AMOUNT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)


def values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the labels of a column in one flat array: one for each example, or one for each word."""
    return pc.list_flatten(column) if pa.types.is_list(column.type) else column


def counts(column: pa.ChunkedArray) -> Counter[str]:
    """Count each label as written, leaving nulls and empty texts out."""
    counted = pc.value_counts(values(column))
    return Counter({item["values"]: item["counts"] for item in counted.to_pylist() if item["values"] not in (None, "")})


def has_none(counted: Mapping[str, int], learned: Mapping[str, int]) -> bool:
    """Whether a part has no labels: none are written, or only placeholders that do not occur in train.

    Args:
        counted: Labels of the part.
        learned: Labels of the train part.
    """
    nothing = {_NO_LABEL, *MISSING, *_UNLABELLED}
    return all(label.casefold() in nothing and label not in learned for label in counted)


def name_classes(
    written: Sequence[str],
    label_map: Mapping[str, str | None],
    names_by_count: Mapping[int, Sequence[str]],
    order: Sequence[str] = (),
) -> dict[str, str | None]:
    """Decide the class of each written label.

    Args:
        written: The different labels in the data.
        label_map: The user's mapping; None drops that label. Empty means none was given.
        names_by_count: The recipe's names for labels that are just the numbers 0 to n-1, by n.
        order: Classes in the order in which the data describe them; others follow, sorted.

    Returns:
        Written label → class name, or None for labels to drop; in the order of the classes.

    Raises:
        DataError: A label is outside the mapping.
    """
    if label_map:
        return _mapped(written, label_map)
    rank = {name: place for place, name in enumerate(order)}
    ordered = sorted(written, key=lambda label: (rank.get(label, len(rank)), *_order(label)))
    names = names_by_count.get(len(ordered))
    if names and ordered == numbers(len(ordered)):
        return dict(zip(ordered, names, strict=True))
    return {label: None if label.casefold() in _UNLABELLED else label for label in ordered}


def _mapped(written: Sequence[str], label_map: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the class of each written label by the user's mapping, in the mapping's order."""
    targets = [name for name in label_map.values() if name is not None]
    label_map = {**label_map, **{name: name for name in targets if name in written and name not in label_map}}
    outside = [label for label in written if label not in label_map]
    if outside:
        near = [
            f" Did you mean `{label}` by `{similar[0]}`?"
            for label in outside
            if (similar := difflib.get_close_matches(label, [key for key in label_map if key not in written], n=1))
        ]
        raise DataError(
            f"{listed(outside)} {'is a label' if len(outside) == 1 else 'are labels'} in the data "
            "but not in the mapping, "
            f"which has {listed(list(label_map))}.{near[0] if near else ''}",
            f"Map it too (`--set 'data.label_map={{\"{outside[0]}\": NAME}}'`), "
            "or leave it out with null in place of NAME.",
            id="label.not-mapped",
        )
    return {label: name for label, name in label_map.items() if label in written}


def numbers(count: int) -> list[str]:
    """Return the labels 0 to count - 1, as they are written."""
    return [str(number) for number in range(count)]


def amounts(names: Sequence[str]) -> str:
    """Return a sentence where labels are so many numbers that they may be quantities; else nothing."""
    if len(names) <= FEW or not all(_AMOUNT.fullmatch(name) for name in names):
        return ""
    values = [float(name) for name in names]
    return (
        f"The labels are {len(names):,} different numbers, from {min(values):g} to {max(values):g}. If they are "
        "quantities rather than class numbers, predict numbers with the recipe `text` or `image` and --target number, "
        "or bin them into ranges (low, middle, high) in a column of their own: classes have no order."
    )


def like_quantities(names: Sequence[str]) -> bool:
    """Whether most labels are numbers, with units or currencies or without."""
    read = [match and written_numbers.number(match[1]) for match in map(_QUANTITY.fullmatch, names)]
    return sum(value is not None for value in read) > 0.8 * len(read)


def hints(
    counted: Mapping[str, int],
    mapping: Mapping[str, str | None],
    label_map: Mapping[str, str | None],
    *,
    may_be_ratings: bool = True,
    may_be_numbers: bool = False,
) -> list[str]:
    """Return notes on labels that are unusual but valid.

    Args:
        counted: Label as written → how often.
        mapping: From `name_classes`.
        label_map: The user's mapping.
        may_be_ratings: Whether to note that labels look like ratings; not where the kind of target was inferred.
        may_be_numbers: Whether to note that whole numbers are used as classes: where the recipe also predicts numbers.
    """
    notes = []
    idle = [label for label in label_map if label not in counted]
    if idle:
        notes.append(f"No row has the {'label' if len(idle) == 1 else 'labels'} {listed(idle)} of `data.label_map`.")
    folded: dict[str, list[str]] = {}
    for name in class_names(mapping):
        folded.setdefault(name.casefold(), []).append(name)
    alike = next((names for names in folded.values() if len(names) > 1), None)
    if alike is not None and not label_map:
        together = json.dumps({name: folded[name.casefold()][0] for name in class_names(mapping)}, ensure_ascii=False)
        line = f": --set 'data.label_map={together}'" if len(together) < 200 and "'" not in together else ""
        notes.append(
            f"Labels {listed(alike)} differ only in capitalization and are different classes. To merge them, map all "
            f"labels with `data.label_map`{line}."
        )
    blank = [label for label in mapping if label.casefold() in MISSING]
    if blank and not label_map:
        notes.append(
            f"Label {listed(blank)} looks like a missing value and is used as a class. To leave its rows out, "
            "map all labels with `data.label_map`, and this one to null."
        )
    joined = [label for label in mapping if len([piece for piece in _JOINED.split(label) if piece.strip()]) > 1]
    if joined and not label_map:
        notes.append(
            f"{'Label' if len(joined) == 1 else 'Labels'} {listed(joined)} may be several labels in one cell. Each "
            "row has one class, and each of these is a class of its own."
        )
    if not label_map and _NO_LABEL in mapping and set(mapping) - {_NO_LABEL} == set(numbers(len(mapping) - 1)):
        kept = {label: None if label == _NO_LABEL else label for label in mapping}
        notes.append(
            f"Label {_NO_LABEL} is used as a class. If it means that a row has no label, leave these rows out: "
            f"--set 'data.label_map={json.dumps(kept)}'."
        )
    if not label_map and any("." in label for label in mapping):
        notes += [sentence for sentence in [amounts(list(mapping))] if sentence]
    unlabelled = [label for label, name in mapping.items() if name is None]
    if unlabelled and not label_map:
        notes.append(f"Rows of {listed(unlabelled)} have no label and are left out; `data.label_map` changes that.")
    unnamed = [label for label, name in mapping.items() if label == name]
    if may_be_ratings and not label_map and len(unnamed) >= 4 and set(unnamed) <= {"1", "2", "3", "4", "5"}:
        notes.append(
            f"Labels {', '.join(unnamed)} look like ratings and are used as {len(unnamed)} classes; the recipes `text` "
            "and `image` take them as ordered ones (--target stars). To use fewer, "
            "map them: --set 'data.label_map={1: negative, 2: negative, 3: null, 4: positive, 5: positive}'."
        )
    elif may_be_numbers and not label_map and len(unnamed) > 2 and set(unnamed) == {*mapping} and _whole(unnamed):
        notes.append(
            f"The {len(unnamed)} different whole numbers of the labels are used as classes; `--target number` predicts "
            "them as numbers."
        )
    return notes


def _whole(labels: Sequence[str]) -> bool:
    return all(label.strip().removeprefix("-").isdecimal() for label in labels)


def _order(label: str) -> tuple[int, float, str]:
    """Sort numbers by value and before everything else, so that "10" follows "9"."""
    return (0, place, label) if (place := rank(label)) is not None else (1, 0.0, label)


def rank(label: str) -> float | None:
    """Return the place of a label in an order that its name tells: a number, "4 stars", "4/5", "★★★★☆"; else None."""
    written = label.strip()
    if _STARS.fullmatch(written):
        return float(sum(sign in _FULL for sign in written))
    shown = _RANKED.fullmatch(written)
    return written_numbers.number(shown[1] if shown else written)


def class_names(mapping: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the classes in order, each once."""
    return tuple(dict.fromkeys(name for name in mapping.values() if name is not None))


def encode(
    column: pa.ChunkedArray, mapping: Mapping[str, str | None], kept: Callable[[list[int | None]], list[int] | None]
) -> pa.ChunkedArray:
    """Replace written labels by class numbers; rows to drop become null.

    Args:
        column: Strings → int64; lists of strings → lists of int64.
        mapping: From `name_classes`.
        kept: As of `Target`: what becomes of a list.
    """
    names = class_names(mapping)
    numbers = {label: names.index(name) for label, name in mapping.items() if name is not None}
    if pa.types.is_list(column.type):
        rows = [None if row is None else kept([numbers.get(label) for label in row]) for row in column.to_pylist()]
        return pa.chunked_array([pa.array(rows, pa.list_(pa.int64()))])
    positions = pc.index_in(column.cast(pa.string()), pa.array(list(numbers), pa.string()))
    if not numbers:
        return pa.chunked_array([pa.nulls(len(column), pa.int64())])
    return pc.take(pa.array(list(numbers.values()), pa.int64()), positions)


def match_numbers(
    written: Sequence[str], trained: Sequence[str], assumed: Sequence[str]
) -> dict[str, str | None] | None:
    """Match labels that are numbers of classes, all or some of them, to a model's classes.

    The meaning of a number is known where the model's classes have no names, or are those that the recipe assumes for
    numbers, in the same order.

    Args:
        written: The different labels in the data.
        trained: The model's classes.
        assumed: The recipe's names for so many classes that are just numbers.

    Returns:
        Written label → the model's name; None where the labels are not numbers, or their meaning is unknown.
    """
    alike = [name.lower() for name in trained] == [name.lower() for name in assumed]
    if not set(written) <= set(numbers(len(trained))) or not (alike or _are_placeholders(trained)):
        return None
    return {label: trained[int(label)] for label in sorted(written, key=int)}


def match_model(mapping: Mapping[str, str | None], trained: Sequence[str]) -> dict[str, str | None]:
    """Match the data's classes to those a model was trained with.

    By name, case aside; by order only when the model's own names are the placeholders LABEL_0, LABEL_1, ….

    Args:
        mapping: From `name_classes`.
        trained: The model's classes.

    Returns:
        Written label → the model's name, or None for labels to drop.

    Raises:
        DataError: They do not match; both lists are shown.
    """
    if not trained:
        raise DataError(
            "The model has no named classes: it was not fine-tuned for this task.",
            "Fine-tune it first.",
            id="model.not-fine-tuned",
        )
    names = class_names(mapping)
    plain = {written_.label(name): name for name in trained}
    known = {**{label.lower(): name for label, name in plain.items()}, **plain, **{name: name for name in trained}}
    if all(name in known or name.lower() in known for name in names):
        matched = {name: known.get(name) or known[name.lower()] for name in names}
    elif _are_placeholders(trained) and len(names) == len(trained) and not set(names) & set(numbers(len(names))):
        matched = dict(zip(names, trained, strict=True))
    else:
        raise _mismatch(mapping, names, trained)
    return {label: matched[name] if name is not None else None for label, name in mapping.items()}


def _are_placeholders(trained: Sequence[str]) -> bool:
    return list(trained) == [f"LABEL_{number}" for number in range(len(trained))]


def name_placeholders(
    classes: Mapping[str, str | None], matched: Mapping[str, str | None], trained: Sequence[str]
) -> tuple[str, ...]:
    """Return the model's classes, by the data's names where its own are the placeholders LABEL_0, LABEL_1, ….

    Args:
        classes: Written label → class, from `name_classes`.
        matched: Written label → the model's class, from `match_model`.
        trained: The model's classes.
    """
    if not _are_placeholders(trained):
        return tuple(trained)
    known: dict[str, set[str]] = {name: set() for name in trained}
    for written, own in matched.items():
        if own is not None:
            name = classes[written]
            known[own].add(written if name is None or name in known else name)
    names = [next(iter(names_of_label)) if len(names_of_label) == 1 else own for own, names_of_label in known.items()]
    return tuple(names) if len(set(names)) == len(names) else tuple(trained)


def _mismatch(mapping: Mapping[str, str | None], names: Sequence[str], trained: Sequence[str]) -> DataError:
    if set(mapping) <= set(numbers(len(trained))):
        whole = json.dumps(dict(zip(numbers(len(trained)), trained, strict=True)), ensure_ascii=False)
        fix = f"If the numbers are the model's classes in this order, confirm it: `--set 'data.label_map={whole}'`."
    else:
        written = next(label for label, name in mapping.items() if name == names[0])
        label = json.dumps(written, ensure_ascii=False)
        fix = (
            f"Map each label: `--set 'data.label_map={{{label}: CLASS, …}}'`, with every label of the data in the "
            "braces, and a class of the model in place of CLASS."
        )
    return DataError(
        f"The labels of the data do not match the model's.\n  data:  {', '.join(names)}\n  model: {', '.join(trained)}",
        fix,
        id="label.not-of-model",
    )


def listed(labels: Sequence[str]) -> str:
    """Format labels for a sentence: the first ten, and how many more there are."""
    shown = ", ".join(f"`{label}`" for label in labels[:10])
    return shown + (f" and {len(labels) - 10} more" if len(labels) > 10 else "")
