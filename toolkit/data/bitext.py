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

from toolkit.data import catalogue
from toolkit.data.decode import open_text
from toolkit.data.folders import hidden
from toolkit.data.read import SPLITS
from toolkit.errors import ConfigError, DataError

Pair = tuple[str | None, str | None]  # the two languages
_CHUNK = 10_000


def read(path: Path, languages: Pair, encoding: str | None = None) -> dict[str, pa.Table] | None:
    """Read aligned texts into tables with the columns "source" and "target".

    Args:
        path: A file or folder.
        languages: Source and target, as they stand in file names and in TMX files.
        encoding: Of text files.

    Returns:
        Tables by part, as `data.read.read` returns them; None where `path` is of no format that is read here.

    Raises:
        DataError: The files cannot be read, or are not aligned.
    """
    suffix = path.suffix.lower()
    if suffix == ".tmx" and path.is_file():
        return {"all": _table(_tmx(path, languages), path, path.name)}
    if suffix == ".po" and path.is_file():
        return {"all": _table(catalogue.pairs(path), path, path.name)}
    if path.is_dir():
        return _folder(path, languages, encoding)
    pair = _pair_of(path, languages)
    return {"all": _table(_lines(*pair, encoding), path, pair[0].name)} if pair is not None else None


def _folder(folder: Path, languages: Pair, encoding: str | None) -> dict[str, pa.Table] | None:
    source, target = languages
    parts: dict[str, pa.Table] = {}
    if source and target:
        for one in sorted(folder.glob(f"*.{source}")):
            other = one.with_suffix(f".{target}")
            if other.is_file() and not hidden(one.name):
                split = next((part for name, part in SPLITS.items() if one.stem.lower() == name), "all")
                if split in parts:
                    raise DataError(
                        f"{folder} holds several pairs of files for one part ({one.name}).", "Name one pair of files."
                    )
                parts[split] = _table(_lines(one, other, encoding), folder, one.name)
    if parts:
        return parts
    catalogues = sorted(path for path in folder.rglob("*.po") if not hidden(path.name))
    if not catalogues:
        return None
    of_language = [path for path in catalogues if target in path.relative_to(folder).parts or path.stem == target]
    chosen = of_language or catalogues
    tables = [_table(catalogue.pairs(path), path, path.relative_to(folder).as_posix(), empty=True) for path in chosen]
    joined = pa.concat_tables(tables)
    if not joined.num_rows:
        raise DataError(f"The {len(chosen)} catalogues in {folder} hold no translated message.", "Name another folder.")
    return {"all": joined}


def _pair_of(path: Path, languages: Pair) -> tuple[Path, Path] | None:
    """Return the two files that `path` means, or None where it means no pair."""
    source, target = languages
    if not source or not target:
        return None
    if path.suffix in (f".{source}", f".{target}") and path.is_file():
        path = path.with_suffix("")
    elif path.exists():
        return None
    pair = path.with_name(f"{path.name}.{source}"), path.with_name(f"{path.name}.{target}")
    missing = [file for file in pair if not file.is_file()]
    if len(missing) == 2:
        return None
    if missing:
        raise DataError(f"There is no file {missing[0]} beside the other of the pair.", "Give both files one name.")
    return pair


Rows = Iterator[tuple[str, str, int]]  # source, target, place in the file


def _lines(one: Path, other: Path, encoding: str | None) -> Rows:
    """Yield the lines of two files side by side."""
    with open_text(one, encoding) as sources, open_text(other, encoding) as targets:
        for number, (source, target) in enumerate(zip_longest(sources, targets), 1):
            if source is None or target is None:
                raise DataError(
                    f"{one} and {other} are not aligned: {(one if source is None else other).name} ends before "
                    f"line {number:,}, and the other goes on.",
                    "Line by line they must say the same.",
                )
            yield source.removeprefix("\ufeff").rstrip("\r\n"), target.removeprefix("\ufeff").rstrip("\r\n"), number


def _tmx(path: Path, languages: Pair) -> Rows:
    """Yield the translation units of a TMX file that have a variant in both languages."""
    from xml.etree import ElementTree

    source, target = languages
    if not source or not target:
        raise ConfigError("A TMX file holds several languages.", "Name two of them with --source and --target.")
    seen: set[str] = set()
    try:
        units = 0
        for _, unit in ElementTree.iterparse(path):
            if unit.tag.rpartition("}")[2] != "tu":
                continue
            units += 1
            variants = {}
            for variant in unit.iter():
                if variant.tag.rpartition("}")[2] == "tuv":
                    language = variant.get("{http://www.w3.org/XML/1998/namespace}lang") or variant.get("lang") or ""
                    segment = next((part for part in variant if part.tag.rpartition("}")[2] == "seg"), None)
                    variants[language.lower()] = "".join(segment.itertext()) if segment is not None else None
            seen.update(variants)
            both = [_of_language(variants, language) for language in (source, target)]
            if None not in both:
                yield both[0], both[1], units
            unit.clear()
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a TMX file that can be read: {error}.", "Export it again.") from None
    if not any(_of_language(dict.fromkeys(seen, ""), language) is not None for language in (source, target)):
        raise DataError(
            f"{path} holds no {source} and no {target}; it holds {', '.join(sorted(seen)) or 'no units'}.",
            "Name two of its languages with --source and --target.",
        )


def _of_language(variants: dict[str, Any], language: str) -> Any:
    """Return the variant of a language: of exactly that code, or of one of its regions."""
    wanted = language.lower().replace("_", "-")
    return variants.get(wanted) or next((v for code, v in variants.items() if code.split("-")[0] == wanted), None)


def _table(rows: Rows, path: Path, name: str, *, empty: bool = False) -> pa.Table:
    """Put rows into a table, chunk by chunk, with the place that each stands at."""
    chunks = [_chunk([], name)]
    while chunk := list(islice(rows, _CHUNK)):
        chunks.append(_chunk(chunk, name))
    if len(chunks) == 1 and not empty:
        raise DataError(f"{path} holds no aligned texts.", "Check the languages (--source, --target) and the file.")
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
