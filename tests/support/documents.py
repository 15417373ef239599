"""The documents of the repository: their blocks of code, commands, headings and links."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(`+)(.+?)\1")
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
_ENDS = {"|", "<", ">", "&", "&&"}


def pages() -> list[Path]:
    """Return every Markdown file that people read."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [code for name, code in _FENCED.findall(text) if name == language]


def commands(text: str) -> list[list[str]]:
    """Return the arguments of every call of the toolkit in blocks of bash, without the program."""
    lines = "\n".join(blocks(text, "bash")).replace("\\\n", " ").splitlines()
    return [found for line in lines for found in _calls(shlex.split(line, comments=True))]


def inline_commands(text: str) -> list[list[str]]:
    """Return the arguments of every call of the toolkit in a text, which may lack some."""
    spans = [" ".join(code.split()) for _, code in _CODE.findall(_FENCED.sub("", text).replace("\n", " "))]
    return [found for span in spans if span.startswith("toolkit ") for found in _calls(shlex.split(span))]


def links(text: str) -> list[str]:
    """Return the targets of links and pictures."""
    return _LINK.findall(_CODE.sub("", _FENCED.sub("", text)))


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as GitHub and the site name them."""
    headings = _HEADING.findall(_FENCED.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _calls(words: list[str]) -> Iterator[list[str]]:
    """Yield the arguments of the calls in one line: alone, in a pipe, or behind a launcher."""
    while words:
        end = next((n for n, word in enumerate(words) if word in _ENDS), len(words))
        call, words = words[:end], words[end + 1 :]
        while call and _ASSIGNMENT.fullmatch(call[0]):
            call = call[1:]
        launched = call[:1] in (["srun"], ["torchrun"], ["accelerate"])
        if call[:1] == ["toolkit"] or (launched and "toolkit" in call):
            yield [word for word in call[call.index("toolkit") + 1 :] if not word.startswith("$")]
