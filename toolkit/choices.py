"""Names that options offer; nothing heavy is imported here, so that the shell completes them at once."""

from collections.abc import Callable
from typing import Any

CHECKS = ("robustness", "bias", "cost", "explanations", "faithfulness")  # of `evaluate`, beside those that always run

# Form of attention → how many numbers it needs, and the least that each may be; those after the needed may be left out.
ATTENTION_FORMS: dict[str, tuple[int, tuple[int, ...]]] = {
    "dense": (0, ()),
    "sliding-window": (1, (2, 0)),
    "block-sparse": (1, (2, 0)),
    "top-k": (1, (1,)),
    "top-blocks": (2, (2, 2)),
}

# Forms that the command line of now names: name → function (layer, query, key, real tokens, numbers …) → mask.
OWN_ATTENTION: dict[str, Callable[..., Any]] = {}
