"""Files of aligned texts: a pair of files line by line (Moses), TMX, and gettext catalogues (.po).

corpus.en + corpus.fr                named by either file, or by their common beginning
folder/train.en, folder/train.fr     one pair per split
memory.tmx                           translation units with a variant for each language
messages.po                          messages that are translated, and neither fuzzy nor obsolete
"""

from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.data.bitext import gettext_catalogue, languages
from toolkit.data.formats.text_decoding import open_text
from toolkit.data.sources.folders import files, visible
from toolkit.data.sources.part_names import PARTS_BY_NAME
from toolkit.errors import ConfigError, DataError
from toolkit.tasks.contract import Tables

Pair = tuple[str | None, str | None]  # the two languages
_CHUNK = 10_000


def read(path: Path, pair: Pair, encoding: str | None = None) -> Tables | None:
    """Read aligned texts into tables with the columns "source" and "target".

    Args:
        path: A file or folder.
        pair: Codes of source and target, in any of the spellings that file names and TMX files have.
        encoding: Of text files.

    Returns:
        As `data.sources.local_files.read`; None where `path` is of no format that is read here.

    Raises:
        DataError: The files cannot be read, or are not aligned.
    """
    suffix = path.suffix.lower()
    if suffix == ".tmx" and path.is_file():
        return Tables({"all": _table(_tmx(path, pair), path, path.name)})
    if suffix == ".po" and path.is_file():
        (chosen,) = gettext_catalogue.of_language([path], path.parent, pair[1])
        return Tables({"all": _table(gettext_catalogue.pairs(chosen), path, path.name)})
    if path.is_dir():
        return _folder(path, pair, encoding)
    files = _pair_of(path, pair)
    return Tables({"all": _table(_lines(*files, encoding), path, files[0].name)}) if files is not None else None


def _folder(folder: Path, pair: Pair, encoding: str | None) -> Tables | None:
    source, target = pair
    parts: dict[str, pa.Table] = {}
    if source and target:
        endings: dict[str, list[str]] = {}
        for file in (file for file in visible(folder) if file.suffix and file.is_file()):
            endings.setdefault(file.stem, []).append(file.suffix[1:])
        for stem, endings_of_stem in endings.items():
            source_file, target_file = (
                _of_language(folder / stem, endings_of_stem, language) for language in (source, target)
            )
            if source_file is not None and target_file is not None:
                split = next((part for name, part in PARTS_BY_NAME.items() if source_file.stem.lower() == name), "all")
                if split in parts:
                    raise DataError(
                        f"{folder} holds several pairs of files for one part ({source_file.name}).",
                        "Name one pair of files.",
                        id="source.ambiguous",
                    )
                parts[split] = _table(_lines(source_file, target_file, encoding), folder, source_file.name)
    if parts:
        return Tables(parts)
    catalogues = sorted(path for path in files(folder) if path.suffix == ".po")
    if not catalogues:
        return None
    chosen = gettext_catalogue.of_language(catalogues, folder, target)
    tables = [
        _table(gettext_catalogue.pairs(path), path, path.relative_to(folder).as_posix(), empty=True) for path in chosen
    ]
    joined = pa.concat_tables(tables)
    if not joined.num_rows:
        raise DataError(
            f"The {len(chosen)} catalogues in {folder} hold no translated message.",
            "Name another folder.",
            id="data.no-rows",
        )
    return Tables({"all": joined})


def _pair_of(path: Path, pair: Pair) -> tuple[Path, Path] | None:
    """Return the two files that `path` names, or None where it names no pair."""
    source, target = pair
    if not source or not target:
        return None
    if path.is_file() and any(languages.alike(language, [path.suffix[1:]]) for language in (source, target)):
        path = path.with_suffix("")
    elif path.exists():
        return None
    start = f"{path.name}."
    beside = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    endings = [file.name.removeprefix(start) for file in beside if file.name.startswith(start) and file.is_file()]
    source_file, target_file = (_of_language(path, endings, language) for language in (source, target))
    if source_file is not None and target_file is not None:
        return source_file, target_file
    if source_file is None and target_file is None:
        return None
    missing = path.with_name(f"{path.name}.{source if source_file is None else target}")
    raise DataError(
        f"The second file of the pair, {missing}, does not exist.",
        "Give both files the same name, apart from the language.",
        id="source.file-missing",
    )


def _of_language(stem: Path, endings: Sequence[str], language: str) -> Path | None:
    """Return the file named `stem` whose ending is a language's code.

    Raises:
        DataError: Several are.
    """
    matches = languages.alike(language, endings)
    if len(matches) > 1:
        raise DataError(
            f"Several files {stem}.… are of the language {language}: {', '.join(matches)}.",
            "Give the suffix of the right one with --source or --target, and move the other out of the folder.",
            id="source.ambiguous",
        )
    return stem.with_name(f"{stem.name}.{matches[0]}") if matches else None


Rows = Iterator[tuple[str, str, int]]  # source, target, place in the file


def _lines(first: Path, second: Path, encoding: str | None) -> Rows:
    """Yield the lines of two files side by side."""
    with open_text(first, encoding) as sources, open_text(second, encoding) as targets:
        for number, (source, target) in enumerate(zip_longest(sources, targets), 1):
            if source is None or target is None:
                raise DataError(
                    f"{first} and {second} are not aligned: {(first if source is None else second).name} ends before "
                    f"line {number:,}, but the other has more lines.",
                    "Each line must be the translation of the same line of the other file.",
                    id="data.not-aligned",
                )
            yield source.removeprefix("\ufeff").rstrip("\r\n"), target.removeprefix("\ufeff").rstrip("\r\n"), number


def _tmx(path: Path, pair: Pair) -> Rows:
    """Yield the translation units of a TMX file that have a variant in both languages."""
    from xml.etree import ElementTree

    source, target = pair
    if not source or not target:
        raise ConfigError(
            "A TMX file holds several languages.",
            "Name two of them with --source and --target.",
            id="config.value-missing",
        )
    seen: set[str] = set()
    try:
        units = 0
        for _, unit in ElementTree.iterparse(path):
            if unit.tag.rpartition("}")[2] != "tu":
                continue
            units += 1
            variants = _variants(unit)
            seen.update(variants)
            source_text, target_text = (_in_language(variants, language) for language in (source, target))
            if source_text is not None and target_text is not None:
                yield source_text, target_text, units
            unit.clear()
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is not a readable TMX file: {error}.", "Export it again.", id="data.damaged-file"
        ) from None
    missing = [language for language in (source, target) if not languages.alike(language, seen)]
    if missing:
        raise DataError(
            f"{path} holds no {' and no '.join(missing)}; it holds {', '.join(sorted(seen)) or 'no units'}.",
            "Name two of its languages with --source and --target.",
            id="data.language-missing",
        )


def _variants(unit: Any) -> dict[str, str]:
    """Return the texts of a translation unit by language; of several in one language the first."""
    variants: dict[str, str] = {}
    for variant in unit.iter():
        if variant.tag.rpartition("}")[2] == "tuv":
            language = variant.get("{http://www.w3.org/XML/1998/namespace}lang") or variant.get("lang") or ""
            segment = next((part for part in variant if part.tag.rpartition("}")[2] == "seg"), None)
            if segment is not None:
                variants.setdefault(language, "".join(segment.itertext()))
    return variants


def _in_language(variants: dict[str, str], language: str) -> str | None:
    return next((variants[code] for code in languages.alike(language, variants)), None)


def _table(rows: Rows, path: Path, name: str, *, empty: bool = False) -> pa.Table:
    """Put rows into a table, chunk by chunk, with the place of each."""
    chunks = [_chunk([], name)]
    while chunk := list(islice(rows, _CHUNK)):
        chunks.append(_chunk(chunk, name))
    if len(chunks) == 1 and not empty:
        raise DataError(
            f"{path} holds no aligned texts.",
            "Check the languages (--source, --target) and the file.",
            id="data.no-rows",
        )
    return pa.concat_tables(chunks)


def _chunk(rows: Sequence[tuple[str, str, int]], name: str) -> pa.Table:
    files = pa.DictionaryArray.from_arrays(pa.array([0] * len(rows), pa.int32()), pa.array([name]))
    return pa.table(
        {
            "source": pa.array([source for source, _, _ in rows], pa.string()),
            "target": pa.array([target for _, target, _ in rows], pa.string()),
            "_file": files,
            "_row": pa.array([place for _, _, place in rows], pa.int64()),
        }
    )
