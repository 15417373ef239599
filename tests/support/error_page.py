"""Write docs/errors.md from the catalogue of errors: `python -m tests.support.error_page`."""

from pathlib import Path
from typing import Any

import yaml

import toolkit
from toolkit.errors import EXIT_CODES

CATALOGUE = Path(toolkit.__file__).with_name("error_catalogue.yaml")
PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
HEAD = """\
# Errors

Every failure that a user can cause is printed with an identifier, a problem and the next step:

```
Error [data.column-missing]: The table has no column `txt` to use as the text; it has `a`, `label`.
  → Name one of these with --text-column COLUMN.
```

The identifier names the cause and stays the same when a sentence is reworded. Python code reads it as `error.id` of a
`toolkit.errors.ToolkitError`. A command with `--json` that fails prints
`{"error": {"id": …, "problem": …, "fix": …, "exit_code": …}, …}` on standard output ([json.md](json.md)), and
`toolkit serve` adds `id` to a refusal that has one.

`make docs` writes this page from `toolkit/error_catalogue.yaml` and `toolkit/errors.py`.

## Exit codes

| code | when |
| --- | --- |
"""
SIGNALS = """\

A signal that a command does not handle ends it as it ends every program: shells show 128 plus its number, such as 137
for SIGKILL and 143 for SIGTERM.
"""


def catalogue() -> dict[str, dict[str, Any]]:
    """Return area → (`about` → a sentence, name → its cause and its fix)."""
    return yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))


def page() -> str:
    """Return the page in Markdown."""
    parts = [HEAD, *(f"| {code} | {when} |\n" for code, when in EXIT_CODES.items()), SIGNALS]
    for area, entries in catalogue().items():
        rows = [f"| `{area}.{name}` | {e['cause']} | {e['fix']} |" for name, e in entries.items() if name != "about"]
        parts.append("\n".join([f"\n## {area}\n", entries["about"], "", "| identifier | cause | what to do |"]))
        parts.append("\n".join(["\n| --- | --- | --- |", *rows, ""]))
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
