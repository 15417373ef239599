"""Gettext catalogues: their messages, and translations written back into them.

A message that a machine translated is marked fuzzy, so that no program shows it before a review.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from toolkit.data.bitext import languages
from toolkit.errors import ConfigError, DataError

FUZZY = "fuzzy"
_CODE = re.compile(r"[A-Za-z]{2,3}([-_@].+)?")  # language codes in headers


def read(path: Path) -> Any:
    """Read a catalogue; iterating it yields its entries.

    Raises:
        ConfigError: polib is not installed.
        DataError: It is no catalogue.
    """
    try:
        import polib
    except ImportError:
        raise ConfigError(
            "Gettext catalogues need the package polib.",
            "pip install 'finetune-toolkit[translation]'",
            id="machine.package-missing",
        ) from None
    try:
        return polib.pofile(str(path), wrapwidth=78)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise DataError(
            f"{path} is not a readable catalogue: {error}.",
            "Check it with `msgfmt -c`.",
            id="data.damaged-file",
        ) from None


def of_language(paths: Sequence[Path], root: Path, target: str | None) -> list[Path]:
    """Return the catalogues that translate into a language; those without a stated language are included.

    Args:
        paths: Catalogues.
        root: Folder that they are in.
        target: Code of the language; None where all are of one.

    Raises:
        DataError: None of them is of that language, or several languages match.
    """
    stated = {path: _language(path, root, target) for path in paths}
    known = sorted({language for language in stated.values() if language is not None})
    listed = f"{root if len(paths) > 1 else paths[0]} holds translations into {', '.join(known)}"
    meant = languages.alike(target, known) if target is not None else known
    if known and not meant:
        raise DataError(
            f"{listed}, not into {target}.", "Name one of these with --target.", id="data.ambiguous-languages"
        )
    if len({languages.normal(language) for language in meant}) > 1:
        raise DataError(f"{listed}.", f"Name one of {', '.join(meant)} with --target.", id="data.ambiguous-languages")
    return [path for path, language in stated.items() if language in meant or (language is None and meant == known)]


def _language(path: Path, root: Path, target: str | None) -> str | None:
    """Return the language that a catalogue translates into: by its gettext folder, name, or header."""
    folders = path.absolute().parts[:-1]
    if "LC_MESSAGES" in folders[1:]:
        return folders[folders.index("LC_MESSAGES") - 1]

    def is_code(name: str) -> bool:
        return languages.is_code(name) or (target is not None and bool(languages.alike(target, [name])))

    named = next((name for name in (path.stem, path.stem.rpartition(".")[2]) if is_code(name)), None)
    if named is not None:
        return named
    stated = str(read(path).metadata.get("Language", "")).strip()
    if _CODE.fullmatch(stated):
        return stated
    above = path.relative_to(root).parts[:-1] or folders[-1:]
    return next((name for name in reversed(above) if is_code(name)), None)


def pairs(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield (message, translation, line) of what is translated and neither fuzzy nor obsolete.

    Of a message with plural forms these are the first and the last one.
    """
    for entry in read(path):
        if entry.obsolete or entry.fuzzy or not entry.translated():
            continue
        if entry.msgid_plural:
            forms = [entry.msgstr_plural[number] for number in sorted(entry.msgstr_plural)]
            yield entry.msgid, forms[0], entry.linenum
            yield entry.msgid_plural, forms[-1], entry.linenum
        else:
            yield entry.msgid, entry.msgstr, entry.linenum


def messages(path: Path, *, everything: bool = False) -> Iterator[str]:
    """Yield the messages without a translation; with plural forms, the singular and the plural.

    Args:
        path: The catalogue.
        everything: Also messages that already have one.
    """
    for entry in _wanting(read(path), everything):
        yield entry.msgid
        if entry.msgid_plural:
            yield entry.msgid_plural


def write(source: Path, target: Path, translations: Iterable[str | None], *, everything: bool = False) -> None:
    """Write a catalogue with translations of its messages, each marked fuzzy; one that is None stays as it was.

    Args:
        source: The catalogue.
        target: The file to write.
        translations: One for each that `messages` yields.
        everything: As for `messages`.
    """
    catalogue = read(source)
    given = iter(translations)
    for entry in _wanting(catalogue, everything):
        translation = next(given, None)
        if entry.msgid_plural:
            plural = next(given, None)
            if translation is None or plural is None:
                continue
            forms = sorted(entry.msgstr_plural) or [0, 1]
            entry.msgstr_plural = {
                number: _framed(entry.msgid, translation) if number == 0 else _framed(entry.msgid_plural, plural)
                for number in forms
            }
        elif translation is not None:
            entry.msgstr = _framed(entry.msgid, translation)
        else:
            continue
        if FUZZY not in entry.flags:
            entry.flags.append(FUZZY)
    catalogue.save(str(target))


def _wanting(catalogue: Any, everything: bool) -> Iterator[Any]:
    for entry in catalogue:
        if not entry.obsolete and (everything or not entry.translated()):
            yield entry


def _framed(message: str, translation: str) -> str:
    """Give a translation the white space that its message begins and ends with, as gettext requires."""
    before = message[: len(message) - len(message.lstrip())]
    return f"{before}{translation.strip()}{message[len(message.rstrip()) :]}"
