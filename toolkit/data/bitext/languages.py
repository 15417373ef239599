"""Names and codes of languages, and the token by which a multilingual tokenizer knows one."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from toolkit.errors import ConfigError

# ISO 639-1, ISO 639-3 and English name; a fourth entry is the default script where a model supports several.
_TABLE = """
af afr Afrikaans|am amh Amharic|ar arb Arabic|az azj Azerbaijani|be bel Belarusian|bg bul Bulgarian|bn ben Bengali
bs bos Bosnian|ca cat Catalan|cs ces Czech|cy cym Welsh|da dan Danish|de deu German|el ell Greek|en eng English
eo epo Esperanto|es spa Spanish|et est Estonian|eu eus Basque|fa pes Persian|fi fin Finnish|fr fra French
ga gle Irish|gl glg Galician|gu guj Gujarati|ha hau Hausa|he heb Hebrew|hi hin Hindi|hr hrv Croatian
hu hun Hungarian|hy hye Armenian|id ind Indonesian|ig ibo Igbo|is isl Icelandic|it ita Italian|ja jpn Japanese
ka kat Georgian|kk kaz Kazakh|km khm Khmer|kn kan Kannada|ko kor Korean|lb ltz Luxembourgish|lo lao Lao
lt lit Lithuanian|lv lvs Latvian|mk mkd Macedonian|ml mal Malayalam|mn khk Mongolian|mr mar Marathi|ms zsm Malay
my mya Burmese|nb nob Norwegian|ne npi Nepali|nl nld Dutch|no nob Norwegian|pa pan Punjabi|pl pol Polish
ps pbt Pashto|pt por Portuguese|ro ron Romanian|ru rus Russian|si sin Sinhala|sk slk Slovak|sl slv Slovenian
so som Somali|sq als Albanian|sr srp Serbian|sv swe Swedish|sw swh Swahili|ta tam Tamil|te tel Telugu|th tha Thai
tl tgl Tagalog|tr tur Turkish|uk ukr Ukrainian|ur urd Urdu|uz uzn Uzbek|vi vie Vietnamese|xh xho Xhosa
yo yor Yoruba|zh zho Chinese Hans|zu zul Zulu
"""
_LANGUAGES = [entry.split() for entry in _TABLE.replace("\n", "|").split("|") if entry]
PROMPTED_IN_WORDS = ("t5", "mt5", "umt5")  # families with the prefix "translate English to French: …"
_CODE = re.compile(r"[a-z]{2,3}_[A-Za-z]{2,4}")  # en_XX of mBART, eng_Latn of NLLB


def name_of(code: str) -> str:
    """Return the English name of a language, or the code itself where it is not known."""
    base = normal(code)[0]
    return next((name for code_in_table, _, name, *_ in _LANGUAGES if base == code_in_table), code)


def is_code(text: str) -> bool:
    """Whether a text is the code of a language that is known here, with or without a region or script."""
    return any(normal(text)[0] in entry[:2] for entry in _LANGUAGES)


def alike(wanted: str, known: Iterable[str]) -> list[str]:
    """Return the codes among `known` of the language `wanted`, in any spelling: en_US, EN-us.

    Those of the same region; if there are none, a code without a region matches all of them, and one with a region
    the language as such. Another region is another language.
    """
    spelt = {code: normal(code) for code in known}
    language, region = normal(wanted)
    exact = [code for code, normal in spelt.items() if normal == (language, region)]
    if exact:
        return exact
    return [code for code, (spoken, other) in spelt.items() if spoken == language and (not region or not other)]


@cache
def normal(code: str) -> tuple[str, str]:
    """Return the two-letter code of the language, where it has one, and what follows it: region, script, variant."""
    base, *rest = re.split("[-_@.]", code.strip().lower())
    return next((entry[0] for entry in _LANGUAGES if base in entry[:2]), base), "-".join(rest)


def check(source: str | None, target: str | None) -> None:
    """Refuse an invalid pair of languages.

    Raises:
        ConfigError: One is written as a name, or both are the same.
    """
    for option, given in (("--source", source), ("--target", target)):
        code = next((own_code for own_code, _, name, *_ in _LANGUAGES if given and given.lower() == name.lower()), None)
        if code is not None:
            raise ConfigError(
                f"{option} is {given!r}, the name of a language.",
                f"Give its code: {option} {code}.",
                id="config.unknown-language",
            )
    if source and target and normal(source) == normal(target):
        raise ConfigError(
            f"--source and --target are both {source!r}."
            if source == target
            else f"--source {source!r} and --target {target!r} are the same language.",
            "Name two languages; leave both out if the columns source and target hold texts of the same language.",
            id="config.same-language",
        )


def codes_of(tokenizer: Any) -> list[str]:
    """Return the codes of the languages that a multilingual tokenizer has tokens for; none for any other."""
    known = getattr(tokenizer, "lang_code_to_id", None)
    if known:
        return list(known)
    codes = [token.strip("<>") for token in getattr(tokenizer, "supported_language_codes", ())]  # Marian's >>fra<<
    return codes or [str(token) for token in tokenizer.all_special_tokens if _CODE.fullmatch(str(token))]


def token_number(tokenizer: Any, code: str) -> int:
    """Return the number of a language's token, by its code in `codes_of`.

    M2M100 marks its tokens (`__fr__`), since `fr` alone is a piece of words there.
    """
    marked = getattr(tokenizer, "lang_code_to_token", None) or {}
    return int(tokenizer.convert_tokens_to_ids(marked.get(code, code)))


def tell(tokenizer: Any, source: str | None, target: str | None) -> None:
    """Set the languages of a multilingual tokenizer; any other is unchanged.

    Raises:
        ConfigError: The model does not know a language.
    """
    known = codes_of(tokenizer)
    for attribute, option, wanted in (("src_lang", "source", source), ("tgt_lang", "target", target)):
        if hasattr(tokenizer, attribute) and known and wanted:
            setattr(tokenizer, attribute, match(wanted, known, option))


def prefix(tokenizer: Any, source: str | None, target: str | None) -> str:
    """Return the prefix of every source: T5's task, or OPUS-MT's token of the target language.

    Args:
        tokenizer: With the model's family as `model_type`.
        source: Language.
        target: Language.
    """
    several = getattr(tokenizer, "supported_language_codes", None)
    if target and several:
        known = [str(code).strip("<>") for code in several]
        return f">>{match(target, known, 'target')}<< "
    if source and target and tokenizer.model_type in PROMPTED_IN_WORDS:
        return f"translate {name_of(source)} to {name_of(target)}: "
    return ""


def match(code: str, known: Iterable[str], option: str) -> str:
    """Return the one of a model's codes that means the language `code`.

    Args:
        code: As the user wrote it: "fr", "fra", "fr_XX", "fra_Latn".
        known: The model's codes.
        option: The option it was given by, for the message.

    Raises:
        ConfigError: None does, or several do.
    """
    known = list(known)
    if code in known:
        return code
    base, _, script = code.replace("-", "_").partition("_")
    entry = next((entry for entry in _LANGUAGES if base.lower() in entry[:2]), [base])
    matches = [candidate for candidate in known if candidate.split("_")[0] in entry[:2]]
    wanted = script or "".join(entry[3:])
    matches = (
        [candidate for candidate in matches if candidate.partition("_")[2] == wanted] or matches if wanted else matches
    )
    if len(matches) == 1:
        return matches[0]
    near = matches or [candidate for candidate in known if candidate[:1] == code[:1]][:12] or known[:12]
    problem = f"knows {len(matches)} forms of it" if matches else "does not support it"
    raise ConfigError(
        f"`{option}` is {code!r}, and the model {problem}.",
        f"Give one of its own codes, such as {', '.join(near)}.",
        id="config.unknown-language",
    )
