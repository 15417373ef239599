"""Aligned texts and lines of text: no pair is shifted, lost, or in another language than the requested one."""

import re
from pathlib import Path

from tests.support.cli import Outcome, several, toolkit

WORDS = ("hill", "lamp", "goat", "tin")


INSPECT = ("inspect", "--recipe", "translation")


def _rows(outcome: Outcome) -> int:
    assert outcome.code == 0, outcome.text
    result = re.search(r"^rows +(\d+)", outcome.out, re.MULTILINE)
    assert result, outcome.text
    return int(result[1])


def _pairs(count: int) -> list[tuple[str, str]]:
    return [(f"the {WORDS[n % 4]} number {n} stands", f"num {n} {WORDS[n % 4]} ista") for n in range(count)]


def _catalogue(pairs: list[tuple[str, str]], mark: str) -> str:
    return "\n".join(["", *(f'msgid "{source}"\nmsgstr "{mark} {target}"\n' for source, target in pairs)])


def case_carriage_return_inside_a_line(folder: Path) -> None:
    """300 pairs are 300 pairs, and none is shifted by characters inside a line."""
    pairs = _pairs(300)
    odd = {99: "\r", 120: "\u2028", 140: "\x85", 160: "\x0c"}
    for side, ending in enumerate(("en", "tlh")):
        lines = [pair[side] + (odd.get(n, "") + "more" if side == 0 else "") for n, pair in enumerate(pairs)]
        (folder / f"corpus.{ending}").write_bytes("".join(f"{line}\n" for line in lines).encode())
    languages = ("--set", "options.source=en", "--set", "options.target=tlh")
    assert _rows(toolkit(*INSPECT, "corpus", *languages, cwd=folder)) == 300


def case_catalogues_of_several_languages(folder: Path) -> None:
    """`--target pt` reads pt_BR alone; a missing language is refused, with the available ones."""
    for language in ("de", "fr", "pt_BR"):
        home = folder / "locale" / language / "LC_MESSAGES"
        home.mkdir(parents=True)
        (home / "app.po").write_text(_catalogue(_pairs(40), language), encoding="utf-8")
    command = [*INSPECT, "locale", "--set", "options.source=en", "--set"]
    pt, it = several([[*command, "options.target=pt"], [*command, "options.target=it"]], folder)
    assert _rows(pt) == 40
    assert it.code == 2
    assert "de, fr, pt_BR" in it.text


def case_spellings_of_a_language_in_tmx(folder: Path) -> None:
    """Every unit is read, for every spelling of the languages in the file and on the command line."""
    units = "".join(
        f'<tu><tuv xml:lang="{("en-US", "EN_us", "en_US")[n % 3]}"><seg>{source}</seg></tuv>'
        f'<tuv lang="{("fr-FR", "fr_FR")[n % 2]}"><seg>{target}</seg></tuv></tu>'
        for n, (source, target) in enumerate(_pairs(60))
    )
    (folder / "m.tmx").write_text(f'<tmx version="1.4"><header/><body>{units}</body></tmx>', encoding="utf-8")
    command = [*INSPECT, "m.tmx", "--set", "options.target=fr", "--set"]
    for outcome in several([[*command, f"options.source={code}"] for code in ("en", "en-US", "en_US")], folder):
        assert _rows(outcome) == 60
