"""What a translation must keep unchanged: placeholders, markup and numbers.

%(name)s  %s  %1$d  {0}  {name!r}  ${name}  {{ name }}  {% tag %}  <b>  </a>  &nbsp;  https://…
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

_PARTS = (
    r"\{%.*?%\}",
    r"\{\{.*?\}\}",
    r"\$?\{[\w.\[\]!:<>^+#,-]*\}",
    r"%\(\w+\)[#0+-]*\d*(?:\.\d+)?[a-zA-Z]",
    r"%(?:\d+\$)?[#0+-]*\d*(?:\.\d+)?(?:l{1,2}|h{1,2}|z)?[diouxXeEfFgGcrs](?![a-zA-Z])",
    r"%\s+\(\w+\)[a-zA-Z]",  # as models distort the one above, which no program can fill
    r"%%",
    r"(?<!\w)%\d{1,2}(?!\d|\s*%)",
    r"</?[a-zA-Z][\w:.-]*(?:\s[^<>]*)?/?>",
    r"&(?:[a-zA-Z]\w*|#\d+|#x[0-9a-fA-F]+);",
    r"(?:https?|ftp)://[^\s<>\"']*[\w/]",
)
_LINK = re.compile(_PARTS[-1])
_MARKUP = re.compile("|".join(_PARTS))
_KEPT = re.compile("|".join([*_PARTS, r"[ \t]*\n\s*"]))
_TAG = re.compile(r"<(/?[a-zA-Z][\w:.-]*)")
_NUMBER = re.compile(r"\d{1,3}(?: \d{3})+(?![\d])|\d+(?:[.,'’\u00a0\u202f]\d+)*")
_SEPARATORS = re.compile(r"[.,'’ \u00a0\u202f]")


def markup(text: str) -> Counter[str]:
    """Count the placeholders and tags of a text; of a tag only the name, for its attributes may be translated."""
    return Counter(tag[1] if (tag := _TAG.match(tag_text)) else tag_text for tag_text in _MARKUP.findall(text))


def without_links(marks: Counter[str]) -> Counter[str]:
    """Leave addresses out of what `markup` counted: a translation may name its own language's."""
    return Counter({mark: count for mark, count in marks.items() if not _LINK.fullmatch(mark)})


def numbers(text: str) -> Counter[str]:
    """Count the numbers of a text outside its markup, however their digits are grouped: 1,000.5 is 1.000,5."""
    return Counter(_SEPARATORS.sub("", number) for number in _NUMBER.findall(_MARKUP.sub(" ", text)))


def keep_markup(
    sources: Sequence[str], written: Sequence[str], translate: Callable[[list[str]], list[str]]
) -> list[str]:
    """Return translations with the markup and the line breaks of their sources restored.

    Where a translation lost or changed any, the text between the pieces of markup is translated piece by piece,
    and the markup is put back in its place. The pieces lack context, so this is done only there.

    Args:
        sources: What was translated.
        written: Its translations.
        translate: Translates texts.
    """
    kept = list(written)
    broken = [row for row, source in enumerate(sources) if _kept(source) != _kept(written[row])]
    pieces = {row: _KEPT.split(sources[row]) for row in broken}
    texts = [piece for row in broken for piece in pieces[row] if _has_words(piece)]
    translated = iter(translate([text.strip() for text in texts]) if texts else [])
    for row in broken:
        between = [_in_place(piece, next(translated)) if _has_words(piece) else piece for piece in pieces[row]]
        marks = [*_KEPT.findall(sources[row]), ""]
        kept[row] = "".join(text + mark for text, mark in zip(between, marks, strict=True))
    return kept


def _kept(text: str) -> Counter[str]:
    return Counter(mark.strip(" \t") for mark in _KEPT.findall(text))


def _has_words(piece: str) -> bool:
    return any(sign.isalpha() for sign in piece)


def _in_place(piece: str, translated: str) -> str:
    """Give a translated piece the white space around its source, and remove markup of its own."""
    before = piece[: len(piece) - len(piece.lstrip())]
    after = piece[len(piece.rstrip()) :]
    return f"{before}{_MARKUP.sub('', translated).strip()}{after}"
