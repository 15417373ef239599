"""What to say of a file or folder that does not exist."""

import difflib
from pathlib import Path

from toolkit.errors import SourceError


def missing(path: Path) -> SourceError:
    """Return the error for a path that does not exist, with names that are like it."""
    if path.is_symlink():
        return SourceError(
            f"{path} is a link to {path.readlink()}, which does not exist.",
            "Repair the link, or give a file.",
            id="source.broken-link",
        )
    missing = path
    while not missing.parent.exists():
        missing = missing.parent
    neighbours = sorted(entry.name for entry in missing.parent.iterdir()) if missing.parent.is_dir() else []
    near = difflib.get_close_matches(missing.name, neighbours)
    fix = f"Check the spelling; the path is looked up from {Path.cwd()}."
    if near:
        fix = f"Did you mean {' or '.join(str(missing.with_name(name)) for name in near)}?"
    return SourceError(f"There is no file or folder {path}.", fix, id="source.file-missing")
