"""The technical documentation as GitHub Markdown, with every text escaped."""

from collections.abc import Iterator

from toolkit.report import formats
from toolkit.report.dossier.content import (
    BLANK,
    NOT_ADVICE,
    SOURCES,
    UNMEASURED,
    Block,
    Cell,
    Dossier,
    Entry,
    Text,
    blank_note,
    source_of,
)


def to_markdown(dossier: Dossier) -> str:
    """Return the text of dossier.md."""
    return "\n\n".join(_parts(dossier)) + "\n"


def _parts(dossier: Dossier) -> Iterator[str]:
    shown = formats.escape_markdown
    yield f"# Technical documentation: {shown(dossier.title)}"
    yield f"{shown(formats.date(dossier.created))}. {NOT_ADVICE}"
    yield f"**{dossier.summary}** {SOURCES}"
    yield "\n".join(
        ["| Point | Entry | State |", "| :--- | :--- | :--- |"]
        + [f"| {entry.number} | {shown(entry.title)} | {entry.state} |" for entry in dossier.entries]
    )
    for number, title, entries in dossier.points:
        yield f"## {number}. {shown(title)}"
        for entry in entries:
            yield from _entry(entry)


def _entry(entry: Entry) -> Iterator[str]:
    yield f"### {entry.number} {formats.escape_markdown(entry.title)}"
    if entry.state == BLANK:
        yield f"> **{blank_note(entry.key)}** {formats.escape_markdown(_only_text(entry))}"
        return
    if entry.state == UNMEASURED:
        yield f"> {formats.escape_markdown(_only_text(entry))} To measure it:"
        yield str(formats.fenced(entry.command, "bash"))
        return
    for block in entry.content:
        yield _block(block)


def _only_text(entry: Entry) -> str:
    return " ".join(block.text for block in entry.content if isinstance(block, Text))


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return str(formats.code_markdown(block.text))
    lines = [_row([*block.columns, "Source"]), f"|{' :--- |' * (len(block.columns) + 1)}"]
    lines += [f"| {' | '.join([*map(_cell, row), _source(source_of(row))])} |" for row in block.rows]
    return "\n".join(lines)


def _row(names: list[str]) -> str:
    return f"| {' | '.join(formats.escape_markdown(name) for name in names)} |"


def _cell(cell: Cell) -> str:
    return formats.escape_markdown(cell if isinstance(cell, str) else cell.text)


def _source(source: str) -> str:
    """Return a source as code, in which GitHub escapes nothing but what ends a cell or the code."""
    plain = source and not set("`|\\\n") & set(source)
    return f"`{source}`" if plain else formats.escape_markdown(source)
