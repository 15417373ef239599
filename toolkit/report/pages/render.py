"""From a report dictionary to one HTML page and one Markdown page.

    report dictionary → view.view() ────────────→ templates/
      anything may be     every key has a value,    lay it out and escape
      absent              tables and geometry       all text of the data

The dictionary is what a run writes as ``report.json``; `toolkit.report.document.schema` lists its keys.
Each of them may be missing, None or empty: the section that needs it is then left out, and the rest is drawn.

Both pages are safe with hostile data. The HTML has no script, names no other file and forbids both in its
content security policy, and Jinja escapes every text. In the Markdown page every text goes through
`escape_markdown`, which its environment applies to whatever a template prints.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from toolkit.report import formats
from toolkit.report.pages.view import view


def to_html(report: Mapping[str, Any]) -> str:
    """One self-contained page: no script, font, picture or style is fetched.

    Args:
        report: The report dictionary; see the module's docstring.
    """
    return environment("html").get_template("report/report.html.j2").render(view(report))


def to_markdown(report: Mapping[str, Any]) -> str:
    """The same report, shorter, as GitHub Markdown; single examples of the data are left out.

    Args:
        report: The report dictionary; see the module's docstring.
    """
    text = environment("markdown").get_template("report/report.md.j2").render(view(report))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@cache
def environment(format: str) -> Environment:  # noqa: A002 - the plain word
    """Return Jinja for "html" or "markdown": what a template prints is escaped, and a misspelt name is an error."""
    html = format == "html"
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates", encoding="utf-8"),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **({} if html else {"finalize": formats.escape_markdown}),  # type: ignore[arg-type]
    )
    for name in ("count", "measure", "interval", "estimate", "date", "clip", "unbroken", "fenced", "p_value"):
        environment.filters[name] = getattr(formats, name)
    environment.filters["code"] = formats.code_html if html else formats.code_markdown
    return environment
