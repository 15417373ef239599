"""Characters and scripts that a tokenizer's vocabulary does not cover."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from toolkit.tasks.task import Column, Task

_SHOWN = 30  # characters that a remark names
_SAMPLE, _LONGEST = 500, 2000  # size of the sample of texts, and characters of each
_MANY_UNKNOWN = 0.05  # share of the tokens; words that a fitting vocabulary does not know are far fewer
# tokens for each character; a fitting vocabulary has 0.2 to 0.5, and 0.6 to 1 where a character is a syllable or a word
_MANY_TOKENS, _MANY_TOKENS_OF_BLOCKS = 0.8, 1.3
_OF_ALL_SCRIPTS = ("", "COMBINING", "VARIATION", "ZERO")  # begin names of marks
_BLOCKS = ("Han", "Hangul", "Hiragana", "Katakana", "Bopomofo", "Yi")
# Scripts of the languages of XLM-RoBERTa (Conneau et al. 2020, "Unsupervised Cross-lingual Representation Learning at
# Scale", appendix A); NLLB has all of them too.
_MULTILINGUAL = (  # noqa: SIM905 - a list of so many would take a line for each
    "Arabic Armenian Bengali Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Han Hangul Hebrew Hiragana "
    "Kannada Katakana Khmer Lao Latin Malayalam Myanmar Oriya Sinhala Tamil Telugu Thai"
).split()


def remarks(texts: Mapping[str, Sequence[str]], tokenizer: Any, target: str = "target") -> list[str]:
    """Return a sentence for each side that holds characters which come out as the unknown token.

    Args:
        texts: Name of a side → its texts.
        tokenizer: Of transformers.
        target: Name of the side that is generated, and tokenized as a target.
    """
    notes = []
    for side, rows in texts.items():
        missing = unwritable(rows, tokenizer, target=side == target)
        if not missing:
            continue
        inside = sum(any(sign in text for sign in missing) for text in rows)
        shown = " ".join(f"{sign} ({count:,})" for sign, count in missing.most_common(_SHOWN))
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        consequence = "cannot be generated" if side == target else "are read as unknown"
        notes.append(
            f"The vocabulary lacks {len(missing)} character{'s' if len(missing) > 1 else ''} of the {side}, which "
            f"{consequence}: {shown}{more}. "
            f"They occur in {inside:,} of {len(rows):,} rows."
        )
    return notes


def unwritable(texts: Sequence[str], tokenizer: Any, *, target: bool = False) -> Counter[str]:
    """Count the characters that the tokenizer turns into its unknown token."""
    unknown = tokenizer.unk_token_id
    counted: Counter[str] = Counter()
    for text in texts:
        counted.update(text)
    signs = [sign for sign in counted if not sign.isspace()]
    if unknown is None or not signs:
        return Counter()
    side = "text_target" if target else "text"
    encoded = tokenizer(**{side: signs}, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    return Counter({sign: counted[sign] for sign, ids in zip(signs, encoded, strict=True) if unknown in ids})


def unread(texts: Sequence[str], tokenizer: Any, *, translates: bool) -> str | None:
    """Return a warning if a vocabulary suits some texts badly: many unknown tokens, or about a letter in each.

    Args:
        texts: A sample is examined.
        tokenizer: Of transformers.
        translates: Whether the model is to write translations, and not to give classes.

    Returns:
        A sentence with the share and a model that knows the script; None where the texts are read well.
    """
    sample = [text[:_LONGEST] for text in texts[:: _step(len(texts))] if text.strip()]
    if not sample or not hasattr(tokenizer, "unk_token_id"):
        return None
    encoded = tokenizer(
        sample, add_special_tokens=False, truncation=True, max_length=_LONGEST, return_attention_mask=False
    )["input_ids"]
    tokens = sum(map(len, encoded))
    unknown = sum(ids.count(tokenizer.unk_token_id) for ids in encoded)
    if not tokens or unknown >= _MANY_UNKNOWN * tokens:
        return _unknown(unknown / tokens if tokens else 1.0, unwritable(sample, tokenizer), translates)
    signs = Counter("".join("".join(sample).split()))
    script = _script(signs)
    many = _MANY_TOKENS_OF_BLOCKS if script in _BLOCKS else _MANY_TOKENS
    words = sum(len(text.split()) for text in sample)
    if translates or script is None or signs.total() < 3 * words or tokens < many * signs.total():
        return None  # translation models may use characters by design
    return (
        f"The model reads {100 * tokens / signs.total():.0f} tokens for 100 characters: its vocabulary has no words of "
        f"the {script} script and splits them into characters. Long texts are truncated, and pretraining helps "
        f"little. {_advice(script, translates)}"
    )


def unread_rows(rows: pa.Table, columns: Sequence[Column], tokenizer: Any) -> str | None:
    """Return the warning of `unread` for a table's texts; None without a text column."""
    task = Task(tuple(columns))
    roles = task.texts_in(rows)
    if not roles:
        return None
    some = rows.select(roles).take(pa.array(range(0, rows.num_rows, _step(rows.num_rows)), pa.int64()))
    texts = (" ".join(map(_plain, row.values())) for row in some.to_pylist())
    return unread(list(texts), tokenizer, translates=task.written)


def _step(size: int) -> int:
    return max(1, size // _SAMPLE)


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _unknown(share: float, missing: Counter[str], translates: bool) -> str:
    script = _script(missing)
    lacks = ""
    if script is not None:
        lacks = f"; its vocabulary lacks the {script} script, or much of it"
    elif missing:
        lacks = f"; its vocabulary lacks {' '.join(sign for sign, _ in missing.most_common(_SHOWN))}"
    return f"{share:.0%} of the tokens are unknown to the model, which cannot distinguish them{lacks}. " + _advice(
        script, translates
    )


def _script(signs: Mapping[str, int]) -> str | None:
    """Return the script of most letters, as Unicode names it; None where most signs are no letters."""
    scripts: Counter[str] = Counter()
    for sign, count in signs.items():
        first = re.split("[ -]", unicodedata.name(sign, ""))[0]
        if unicodedata.category(sign)[0] in "LM" and first not in _OF_ALL_SCRIPTS:
            scripts["Han" if first == "CJK" else first.capitalize()] += count
    if not scripts or 2 * scripts.total() < sum(signs.values()):
        return None
    return scripts.most_common(1)[0][0]


def _advice(script: str | None, translates: bool) -> str:
    if script not in _MULTILINGUAL:
        return "Use a model that was pretrained on such texts."
    known = "nllb" if translates else "FacebookAI/xlm-roberta-base"
    return f"{known} was pretrained on this script: name it with --model."
