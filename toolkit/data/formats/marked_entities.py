"""Texts with marked entities, as spaCy, Prodigy and Doccano write them, as words with labels of the scheme IOB2.

    {"text": "Ann is in Rome", "entities": [[0, 3, "PER"], [10, 14, "LOC"]]}
    {"text": "Ann is in Rome", "spans": [{"start": 0, "end": 3, "label": "PER"}]}
    {"text": "Ann is in Rome", "entities": [{"id": 1, "start_offset": 0, "end_offset": 3, "label": "PER"}]}
    [["Ann is in Rome", {"entities": [[0, 3, "PER"], [10, 14, "LOC"]]}]]

Places are counted in characters. No entity is lost or changed: a word that an entity begins or ends in is cut there.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.data.tables import word_splitting
from toolkit.errors import ConfigError, DataError
from toolkit.tasks.spans import Span, labels_of

KEYS = ("entities", "spans", "label", "labels")  # of the entities of a text
_FIX = 'Write each entity as [start, end, type] or {"start": …, "end": …, "label": …}, counted in characters.'


@dataclass(frozen=True)
class Marked:
    """A part of a text that is an entity.

    Attributes:
        start: Its first character, from 0.
        end: The character after its last one.
        type: Its type.
    """

    start: int
    end: int
    type: str


def of_pair(item: Any) -> Any:
    """Return an object for a text in a list with its annotations, as spaCy's examples are; other items as they are."""
    if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], dict):
        return {**item[1], "text": item[0]}
    return item


def key_of(row: Mapping[str, Any]) -> str | None:
    """Return the key of the marked entities of a JSON object; None where it is no text with entities."""
    if not isinstance(row.get("text"), str):
        return None
    lists = {key: row[key] for key in KEYS if isinstance(row.get(key), list)}
    return next((key for key, items in lists.items() if all(isinstance(item, list | dict) for item in items)), None)


def table(rows: Iterable[tuple[int, Mapping[str, Any]]], path: Path, unit: str) -> tuple[pa.Table, pa.Array, list[str]]:
    """Convert texts with marked entities.

    Args:
        rows: Number and content of each; other keys than those of text and entities are left out.
        path: The file, for messages.
        unit: What the numbers count: "line", or "item" of a list.

    Returns:
        A table with the columns "words" and "labels", the numbers of its rows, and notes.

    Raises:
        DataError: With the row whose entities are malformed, outside the text, or overlap.
    """
    words: list[list[str]] = []
    labels: list[list[str]] = []
    numbers: list[int] = []
    cut, trimmed, first_cut, first_trimmed = 0, 0, "", ""
    for number, row in rows:
        where = f"{path}, {unit} {number}"
        key = key_of(row)
        if key is None:
            raise DataError(f"{where}: no text with a list of entities.", _FIX, id="data.malformed-entity")
        text = row["text"]
        given = [_marked(item, text, where) for item in row[key]]
        entities = sorted((_trimmed(entity, text, where) for entity in given), key=lambda entity: entity.start)
        _check_apart(entities, text, where)
        changed = len(set(given) - set(entities))
        trimmed, first_trimmed = trimmed + changed, first_trimmed or (where if changed else "")
        places, inside = _cut(word_splitting.places(text, word_splitting.USUAL), entities)
        cut, first_cut = cut + inside, first_cut or (where if inside else "")
        words.append([text[start:end] for start, end in places])
        labels.append(labels_of([_span(entity, places) for entity in entities], len(places)))
        numbers.append(number)
    notes = []
    if cut:
        notes.append(f"{cut:,} words in which an entity begins or ends were cut there (first: {first_cut}).")
    if trimmed:
        notes.append(f"White space at the ends of {trimmed:,} entities was left out (first: {first_trimmed}).")
    kind = pa.list_(pa.string())
    made = pa.table({"words": pa.array(words, kind), "labels": pa.array(labels, kind)})
    return made, pa.array(numbers, pa.int64()), notes


def _marked(item: Any, text: str, where: str) -> Marked:
    if isinstance(item, Mapping):
        ends = (item.get(end, item.get(f"{end}_offset")) for end in ("start", "end"))  # Doccano's has the longer name
        parts = [*ends, item.get("label", item.get("type"))]
    else:
        parts = list(item)[:3]
    whole = len(parts) == 3 and all(isinstance(p, int) and not isinstance(p, bool) for p in parts[:2])
    if not whole or not isinstance(parts[2], str) or not parts[2].strip():
        raise DataError(f"{where}: {item!r:.80} is no entity.", _FIX, id="data.malformed-entity")
    start, end, kind = parts
    if not 0 <= start < end <= len(text):
        raise DataError(
            f"{where}: the entity {start} to {end} ({kind}) lies outside the text, which has {len(text)} characters, "
            "or is empty.",
            "Count places in characters, from 0, and not in bytes.",
            id="data.malformed-entity",
        )
    return Marked(start, end, kind.strip())


def _trimmed(entity: Marked, text: str, where: str) -> Marked:
    """Leave out white space at the ends of an entity."""
    marked = text[entity.start : entity.end]
    if not marked.strip():
        raise DataError(
            f"{where}: the entity {entity.start} to {entity.end} ({entity.type}) holds white space alone.",
            "Remove it, or correct its places.",
            id="data.malformed-entity",
        )
    return Marked(entity.end - len(marked.lstrip()), entity.start + len(marked.rstrip()), entity.type)


def _check_apart(entities: Sequence[Marked], text: str, where: str) -> None:
    for one, other in itertools.pairwise(entities):
        if other.start < one.end:
            both = [f"“{text[e.start : e.end]}” ({e.type}, {e.start} to {e.end})" for e in (one, other)]
            raise DataError(
                f"{where}: the entities {both[0]} and {both[1]} overlap. Each word has one label.",
                "Keep one of them; to learn nested entities, train a model for each level.",
                id="data.overlapping-entities",
            )


def _cut(places: word_splitting.Places, entities: Sequence[Marked]) -> tuple[word_splitting.Places, int]:
    """Cut words where an entity begins or ends in them; return how many were cut."""
    borders = sorted({border for entity in entities for border in (entity.start, entity.end)})
    pieces, count = word_splitting.Places(), 0
    for start, end in places:
        inside = [border for border in borders if start < border < end]
        count += bool(inside)
        ends = [start, *inside, end]
        pieces += itertools.pairwise(ends)
    return pieces, count


def _span(entity: Marked, places: word_splitting.Places) -> Span:
    inside = [number for number, (start, end) in enumerate(places) if entity.start <= start and end <= entity.end]
    return Span(inside[0], inside[-1] + 1, entity.type)


def read_docbin(path: Path) -> tuple[pa.Table, pa.Array]:
    """Read a .spacy file: the tokens and entities of its documents.

    Raises:
        ConfigError: spaCy is not installed.
        DataError: The file is damaged.
    """
    try:
        import spacy
        from spacy.tokens import DocBin
    except ImportError:
        raise ConfigError(
            f"{path} can only be read by spaCy, which is not installed.",
            'pip install spacy, or write its documents as JSON lines: {"text": …, "entities": [[start, end, type]]}.',
            id="machine.package-missing",
        ) from None
    try:
        documents = list(DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab))
    except Exception as error:  # msgpack, zlib and spaCy each have their own
        raise DataError(
            f"{path} cannot be read by spaCy: {error}.", "Write it again.", id="data.damaged-file"
        ) from None
    words, labels = [], []
    for document in documents:
        tokens = [token for token in document if not token.is_space]
        words.append([token.text for token in tokens])
        labels.append([f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O" for token in tokens])
    kind = pa.list_(pa.string())
    made = pa.table({"words": pa.array(words, kind), "labels": pa.array(labels, kind)})
    return made, pa.array(range(1, len(words) + 1), pa.int64())
