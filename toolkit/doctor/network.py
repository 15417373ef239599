"""The Hub, the token and the cache."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolkit.doctor.check import Check, gib, within
from toolkit.environment import is_temporary, write_problem

SCAN_SECONDS = 3.0  # a cache of thousands of files on a network disk takes minutes
TOKEN_SECONDS = 6.0


def hub() -> Iterator[Check]:
    """Check whether the Hub can be reached."""
    from huggingface_hub import constants

    from toolkit import sources

    chosen = bool(os.environ.get("HF_ENDPOINT"))
    problem = sources.hub_problem()
    if problem is None:
        yield Check("Hub", "ok", f"{constants.ENDPOINT} answers" + (" (set by HF_ENDPOINT)" if chosen else ""))
        return
    cause = "Check HF_ENDPOINT, the network and its proxy" if chosen else "Check the network and its proxy"
    if constants.HF_HUB_OFFLINE:
        cause = "Unset HF_HUB_OFFLINE"
    yield Check("Hub", "warning", problem, f"{cause} to use the Hub. {what_works_here()}")


def what_works_here() -> str:
    """Name the models that work with no network; listing a huge cache has a time limit."""
    from toolkit import checkpoints

    try:
        return within(SCAN_SECONDS, checkpoints.what_works_here)
    except TimeoutError:
        return "Models in the cache and local checkpoint folders work without a network."


def token() -> Iterator[Check]:
    """Check the token and its permissions; neither it nor its owner is shown."""
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.errors import HfHubHTTPError

    from toolkit import sources

    held_by_variable = bool(os.environ.get("HF_TOKEN"))
    try:
        secret = within(TOKEN_SECONDS, get_token)
    except Exception as error:  # its message may quote the token
        yield Check("token", "fault", f"cannot be read ({type(error).__name__})", "Run `hf auth login`.")
        return
    if not secret:
        yield Check("token", "ok", "none: public models and data need none; `hf auth login` sets one")
        return
    problem = sources.hub_problem()
    if problem is not None:
        yield Check("token", "ok", "present; not checked without the Hub")
        return
    try:
        owner = within(TOKEN_SECONDS, lambda: HfApi(endpoint=constants.ENDPOINT).whoami(token=secret))
    except Exception as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code == 401:
            in_file = "Run `hf auth login` with a valid token, or `hf auth logout`."
            fix = "Set HF_TOKEN to a valid token, or unset it." if held_by_variable else in_file
            yield Check("token", "fault", "the Hub rejects it, for public repositories too", fix)
        else:
            finding = f"present; the Hub did not say whether it is valid ({type(error).__name__})"
            yield Check("token", "warning", finding, "Try again in a minute.")
        return
    yield Check("token", "ok", f"valid, {_role(owner)}")


def _role(owner: Any) -> str:
    access = (owner.get("auth") or {}).get("accessToken") or {}
    role = str(access.get("role"))
    if role == "fineGrained":
        scopes = (access.get("fineGrained") or {}).get("scoped") or ()
        writes = any("repo.write" in scope.get("permissions", ()) for scope in scopes)
        return f"fine-grained: {'writes to some repositories' if writes else 'reads only, so it cannot push'}"
    return {"read": "role read: it cannot push", "write": "role write"}.get(role, "role unknown")


_REPOSITORY = re.compile(r"(?:models|datasets|spaces)--[\w.-]+")  # a folder of the cache


def cache() -> Iterator[Check]:
    """Check the folder into which models are downloaded."""
    from huggingface_hub import constants, scan_cache_dir

    folder = Path(constants.HF_HUB_CACHE)
    shown = _short(folder)
    problem = write_problem(folder)
    fix = "Set HF_HOME to a writable folder, or correct its permissions."
    if is_temporary(folder):
        yield Check("cache", "warning", f"the user's own is not writable; {shown} is used and will be emptied", fix)
        return
    if problem:
        yield Check("cache", "warning", f"{shown} cannot be written, so nothing can be downloaded ({problem})", fix)
        return
    if not folder.exists():
        yield Check("cache", "ok", f"{shown}, created by the first download")
        return
    try:
        held = within(SCAN_SECONDS, lambda: scan_cache_dir(folder))
    except TimeoutError:
        yield Check("cache", "ok", f"{shown}, too large to be counted in {SCAN_SECONDS:g} s")
        return
    finding = f"{shown}, repositories: {len(held.repos)}, {gib(held.size_on_disk)}"
    if held.warnings:
        named = sorted({name for warning in held.warnings for name in _REPOSITORY.findall(str(warning))})
        shown_names = f" ({', '.join(named[:3])}{', …' if len(named) > 3 else ''})" if named else ""
        finding = f"{finding}; incomplete or damaged: {len(held.warnings)}{shown_names}"
        fix = "Ignore this until a cached model fails to load: then remove its folder there and download it again."
        yield Check("cache", "warning", finding, fix)
    else:
        yield Check("cache", "ok", finding)


def _short(path: Path) -> str:
    """Write the path without the user's name where it lies in the home folder."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (RuntimeError, ValueError):  # no home folder, or another place
        return str(path)
