"""Where a push goes, and whether it would be let in: name, token, permission, visibility, card; nothing is sent."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit import sources
from toolkit.errors import ConfigError, SourceError
from toolkit.hub.responses import no_access, patiently, translated_errors, unless_unknown

_NOT_IN_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{")


@dataclass(frozen=True)
class Destination:
    """Where to push.

    Attributes:
        name: The repository, org/name.
        public: Whether everybody may read it.
        revision: Branch; main when None. One that does not exist is made.
        pull_request: Propose the commit instead of making it.
        tag: Name for the commit.
    """

    name: str
    public: bool = False
    revision: str | None = None
    pull_request: bool = False
    tag: str | None = None


def check(destination: Destination) -> bool:
    """Find out whether a push would be let in; nothing is made or sent.

    Returns:
        Whether the repository exists.

    Raises:
        CallError: The name, the token or the visibility; the message says which.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    check_call(destination)
    problem = obstacle()
    if problem is not None:
        raise problem
    api = HfApi()
    with translated_errors(destination.name, SourceError):
        account = patiently(api.whoami)
        _check_role(account, destination)
        try:
            info = patiently(lambda: api.model_info(destination.name))
        except RepositoryNotFoundError:
            info = None
        if info is not None and not destination.pull_request:
            unless_unknown(lambda: api.auth_check(destination.name, write=True))
    if info is None and destination.pull_request:
        raise SourceError(
            f"The Hub has no model {destination.name} that you may read, so there is nothing to propose a change to.",
            "Check the spelling, or push without --pr.",
            id="hub.not-found",
        )
    if info is not None and not destination.pull_request:
        _check_visibility(bool(info.private), destination)
    return info is not None


def obstacle() -> SourceError | None:
    """Return why nothing can be pushed from here at all, wherever to; None where it can."""
    from huggingface_hub import get_token

    if not get_token():
        return SourceError(
            "No Hub token is set, so nothing can be pushed.",
            "Run `hf auth login` with a write token, or set HF_TOKEN.",
            id="hub.no-token",
        )
    problem = sources.hub_problem()
    if problem is not None:
        return SourceError(
            f"{problem}, so nothing can be pushed.",
            "`toolkit doctor` checks the Hub and the token.",
            id="hub.unreachable",
        )
    return None


def check_call(destination: Destination) -> None:
    """Check what can be known of a destination without the Hub.

    Raises:
        ConfigError: It cannot be the name of a repository, a branch or a tag.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(destination.name)
        valid = destination.name.count("/") == 1
    except HFValidationError:
        valid = False
    if not valid:
        raise ConfigError(
            f"`{destination.name}` is not the name of a repository on the Hub.",
            "Give org/name: letters, digits, `-`, `_` and `.`, 96 characters at most.",
            id="hub.invalid-name",
        )
    if destination.pull_request and (destination.revision or destination.tag):
        raise ConfigError(
            "A pull request targets main and has no tag.", "Leave out --revision and --tag.", id="config.conflict"
        )
    for what, name in (("branch", destination.revision), ("tag", destination.tag)):
        if name is not None and not _names_a_ref(name):
            raise ConfigError(
                f"`{name}` is not a valid name of a {what}.",
                "Use letters and digits, with single `-`, `_`, `.` or `/` between them, such as v1.0.",
                id="hub.invalid-name",
            )


def _names_a_ref(name: str) -> bool:
    """Whether git takes a name for a branch or a tag, by the rules of `git check-ref-format`."""
    parts = name.split("/")
    return not (
        _NOT_IN_A_REF.search(name)
        or name in ("@", "HEAD")
        or name.startswith(("-", "refs/"))
        or name.endswith(".")
        or re.fullmatch(r"[0-9a-f]{40}", name)  # a commit's own
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    )


def _check_role(account: Mapping[str, Any], destination: Destination) -> None:
    """Refuse a token that may not write there."""
    access = (account.get("auth") or {}).get("accessToken") or {}
    owner = destination.name.partition("/")[0]
    role = access.get("role")
    if role == "read":
        raise SourceError(
            "The Hub token is read-only.",
            "Create a token with the role `write` on the Hub, and run `hf auth login`.",
            id="hub.no-write-access",
        )
    if destination.pull_request:
        return
    if role == "fineGrained":
        scopes = (access.get("fineGrained") or {}).get("scoped") or ()
        may = any(
            (scope.get("entity") or {}).get("name") in (owner, destination.name)
            and "repo.write" in scope.get("permissions", ())
            for scope in scopes
        )
    else:
        member = [org for org in account.get("orgs") or () if org.get("name") == owner]
        may = owner == account.get("name") or any(org.get("roleInOrg") != "read" for org in member)
    if not may:
        raise no_access(destination.name, SourceError)


def _check_visibility(private: bool, destination: Destination) -> None:
    if private and destination.public:
        raise ConfigError(
            f"{destination.name} exists and is private, but --public was given.",
            "Leave out --public, or make it public in its settings on the Hub first.",
            id="hub.visibility",
        )
    if not private and not destination.public:
        raise ConfigError(
            f"{destination.name} exists and is public, but a push is private by default.",
            "Add --public to `toolkit push` if everybody may read it, or give another repository.",
            id="hub.visibility",
        )


def stated(model: str) -> dict[str, Any]:
    """Return the metadata that a model's page on the Hub states; empty where it cannot be read."""
    from huggingface_hub import HfApi

    if sources.hub_problem() is not None:
        return {}
    try:
        data = HfApi().model_info(model).card_data
    except Exception:  # a page that cannot be read states nothing
        return {}
    metadata: dict[str, Any] = data.to_dict() if data is not None else {}  # type: ignore[no-untyped-call]
    return metadata


def check_card(text: str, destination: Destination) -> None:
    """Let the Hub validate a model card.

    Raises:
        ConfigError: The Hub does not accept it; the message quotes why.
    """
    from huggingface_hub import ModelCard

    card = ModelCard(text, ignore_metadata_errors=False)
    with translated_errors(destination.name, SourceError):
        try:
            patiently(card.validate)
        except ValueError as error:
            raise ConfigError(
                f"The Hub rejects the model card: {_card_faults(str(error))}",
                "The usual cause is the licence: give one of the Hub's names with --license, such as apache-2.0.",
                id="hub.card-rejected",
            ) from error


def _card_faults(answer: str) -> str:
    """Return the sentences in what the Hub says of a card, which is JSON as a rule."""
    try:
        faults = [str(entry["message"]) for entry in json.loads(answer)["errors"]]
    except (ValueError, TypeError, KeyError):
        faults = [answer]
    return " ".join(f"{' '.join(fault.split())[:400].rstrip('.')}." for fault in faults)
