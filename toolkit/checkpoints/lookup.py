"""Bring a checkpoint onto this machine by any of its names, and check that it may be loaded; no torch here."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from toolkit import runs
from toolkit.checkpoints import adapted, aliases
from toolkit.checkpoints.configuration import Checkpoint, built_in, names_of_classes
from toolkit.checkpoints.files import Located, locate_model
from toolkit.config import leaves
from toolkit.config.settings import LoadingConfig
from toolkit.errors import ModelError, SourceError
from toolkit.model_names import ALIASES
from toolkit.tasks import catalogue

# keys under which a configuration may name a repository whose code computes a part of the model
_KERNELS = tuple(
    f"{before}{part}_implementation{after}"
    for part in ("attn", "experts")
    for before, after in (("", ""), ("_", ""), ("_", "_internal"))
)


def locate(
    name: str, loading: LoadingConfig, options: Mapping[str, Any] = MappingProxyType({}), *, download: bool = True
) -> Checkpoint:
    """Bring the checkpoint `name` onto this machine and check that it is one; torch is not needed for that.

    Args:
        name: Alias, Hub id, folder, run directory, or pkg://package/path.
        loading: What it may hold.
        options: The recipe's own keys, for aliases that depend on them.
        download: Whether to ask the Hub; else only what is on this machine is found.

    Raises:
        ConfigError: An alias depends on options that are not set.
        SourceError: It is nowhere to be had; the message names what would work.
        ModelError: It is not a checkpoint that may be loaded.
    """
    alias = ALIASES.get(name)
    if alias is not None and alias.form is not None:
        return _form(name, alias.form, loading)
    names = [name] if alias is None else [aliases.filled(name, alias.hub, options)]
    names += [alias.packaged] if alias is not None and alias.packaged else []
    if alias is None and runs.is_run(Path(name)):
        run = runs.Run(Path(name))
        runs.check_whole(run)
        names = [str(run.model if run.model.is_dir() else run.adapter)]
    try:
        located = _located(names, loading, download=download)
        if adapted.is_adapter(located.path):
            located = _with_base(located, name, loading, download=download)
    except SourceError as error:
        raise SourceError(
            aliases.with_guess(name, error.problem), error.fix or aliases.what_works_here(), id=error.id
        ) from error
    config = _allowed_configuration(located.path, name, loading)
    return Checkpoint(name, located.path, located.origin, located.revision, located.note, config)


def _located(names: Sequence[str], loading: LoadingConfig, *, download: bool) -> Located:
    return locate_model(
        names, allow_pickle=loading.allow_pickle, remote_code=loading.trust_remote_code, download=download
    )


def _with_base(adapter: Located, name: str, loading: LoadingConfig, *, download: bool) -> Located:
    """Return the model that an adapter and its base model are together.

    Raises:
        SourceError: The base model is nowhere to be had.
        ModelError: One of them may not be loaded, or they do not belong together.
    """
    names = adapted.base_names(adapter.path, name)
    base = _located(names, loading, download=download)
    if adapted.is_adapter(base.path):
        raise ModelError(
            f"The base model of the adapter {name}, {names[0]}, is an adapter itself.",
            "Merge that one with peft (`merge_and_unload`) first, and name the result as the base model.",
            id="model.adapter-base",
        )
    for folder, named in ((base.path, names[0]), (adapter.path, name)):
        if (folder / "config.json").is_file():
            _allowed_configuration(folder, named, loading)
    path = adapted.merged(adapter.path, base.path, name, loading)
    return replace(adapter, path=path, note=adapter.note or base.note)


def _allowed_configuration(path: Path, name: str, loading: LoadingConfig) -> dict[str, Any]:
    """Read the config.json of a checkpoint, and refuse one that wants code to run.

    Raises:
        ModelError: It is damaged, or code would run that the user did not allow.
    """
    config = _configuration(path, name)
    if not loading.trust_remote_code and _wants_code(config):
        raise ModelError(
            f"{name} contains Python code, which would run on this machine.",
            "Read that code first; if you trust it, add --trust-remote-code.",
            id="model.remote-code",
        )
    return config


def _configuration(path: Path, name: str) -> dict[str, Any]:
    """Read the config.json of a checkpoint, with the names of its classes in the usual form.

    Raises:
        ModelError: It is damaged.
    """
    again = "Download or copy the checkpoint again."
    try:
        config = runs.read_object(path / "config.json")
    except SourceError as error:
        raise ModelError(
            f"The config.json of {name} cannot be read: {error.problem}", again, id="model.config-damaged"
        ) from None
    kinds = {"model_type": str, "pad_token_id": int, "max_position_embeddings": int}
    for key, kind in kinds.items():
        if not isinstance(config.get(key), kind | None):
            raise ModelError(
                f"`{key}` in the config.json of {name} is {config[key]!r:.60}.", again, id="model.config-damaged"
            )
    named = names_of_classes(config)
    if named is None:
        raise ModelError(
            f"`id2label` in the config.json of {name} does not map numbers to classes.",
            'Write it as {"0": "negative", "1": "positive"}, in the order of the model\'s outputs.',
            id="model.config-damaged",
        )
    return {**config, "id2label": named} if named else config


def _wants_code(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is of a family that the checkpoint's own code defines, or names code on the Hub."""
    own = "auto_map" in config and "model_type" in config and not built_in(config["model_type"])
    return own or any("/" in str(value) for key, value in leaves(config) if any(part in _KERNELS for part in key))


def _form(name: str, folder: str, loading: LoadingConfig) -> Checkpoint:
    """Return a configuration that comes with the toolkit, which has no weights."""
    if not loading.from_scratch:
        raise ModelError(
            f"{name} is an architecture without weights.",
            "Add --from-scratch to start with random weights.",
            id="model.no-weights",
        )
    path = catalogue.folder() / "forms" / folder
    return Checkpoint(name, path, f"{name} (random weights)", None, None, runs.read_object(path / "config.json"))
