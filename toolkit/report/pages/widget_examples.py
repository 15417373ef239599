"""Examples on a model's page on the Hub: held-out inputs with which its widget is filled."""

from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.runs import checksums
from toolkit.tasks.contract import Recipe

COUNT = 2
_LONGEST = 300  # characters of a text
_SIGNATURES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"RIFF": "wav", b"fLaC": "flac", b"GIF8": "gif"}


def of_run(run: runs.Run, recipe: Recipe, name: str) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Return the entries of a card's `widget`, and the files that they name.

    Widgets take one input; a task with several, or without a widget, has no examples.

    Args:
        run: With its held-out rows.
        recipe: Of the run.
        name: The repository, org/name.
    """
    file = run.path / "data" / "test.parquet"
    if recipe.task.hub_task is None or not file.is_file():
        return [], {}
    rows = checksums.read_rows(file)
    present = [column for column in recipe.task.inputs if column.role in rows.column_names]
    if len(present) != 1:
        return [], {}
    kind, values = present[0].kind, rows[present[0].role].slice(0, 50).to_pylist()
    if kind.plain is not None:
        texts = [text for text in map(kind.plain, values) if text.strip() and len(text) <= _LONGEST]
        return [{"text": text} for text in dict.fromkeys(texts)][:COUNT], {}
    files = _files(values)
    address = f"https://huggingface.co/{name}/resolve/main"
    return [{"src": f"{address}/{path}", "example_title": Path(path).stem} for path in files], files


def _files(values: list[Any]) -> dict[str, bytes]:
    """Return pictures or recordings as files: path in the repository → content."""
    files: dict[str, bytes] = {}
    for value in values:
        content = value.get("bytes") if isinstance(value, dict) else value
        if len(files) < COUNT and isinstance(content, bytes):
            ending = next((ending for mark, ending in _SIGNATURES.items() if content.startswith(mark)), None)
            files |= {f"examples/{len(files) + 1}.{ending}": content} if ending else {}
    return files
