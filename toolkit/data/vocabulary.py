"""What a tokenizer's vocabulary cannot write."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN = 30  # characters that a remark names


def remarks(texts: Mapping[str, Sequence[str]], tokenizer: Any) -> list[str]:
    """Return a sentence for each side that holds characters which come out as the unknown token.

    Args:
        texts: Name of a side → its texts; "target" is tokenized as a target.
        tokenizer: Of transformers.
    """
    found = []
    for side, rows in texts.items():
        missing = unwritable(rows, tokenizer, target=side == "target")
        if not missing:
            continue
        inside = sum(any(sign in text for sign in missing) for text in rows)
        shown = " ".join(f"{sign} ({count:,})" for sign, count in missing.most_common(_SHOWN))
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        consequence = "can never be written" if side == "target" else "are read as unknown"
        found.append(
            f"The vocabulary lacks {len(missing)} character{'s' if len(missing) > 1 else ''} of the {side}, which "
            f"{consequence}: {shown}{more}. "
            f"They stand in {inside:,} of {len(rows):,} rows."
        )
    return found


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
