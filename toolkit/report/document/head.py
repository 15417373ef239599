"""The first keys of every report and explanation."""

from datetime import datetime
from typing import Any

import toolkit

SCHEMA_VERSION = 1  # of report.json and explanation.json; increased when keys change their meaning


def head(command: str, created: datetime, **names: str) -> dict[str, Any]:
    """Return the first keys of a report.

    Args:
        command: The command line.
        created: When.
        names: "title" and "recipe", where it has them.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "toolkit_version": toolkit.__version__,
        "created": created.isoformat(timespec="seconds"),
        **names,
        "command": command,
    }
