"""One error for all claims of a report: each kind of claim has a part of it, and its interval the level of that part.

A claim is a sentence that a report makes only where a test rejects chance: that a baseline is beaten, or that a group
of rows is worse. The probability that a report makes any false claim is at most the sum of the parts (Bonferroni),
however the tests depend on each other; parts are weighted by how many hypotheses share them (Rosenthal and Rubin 1983,
"Ensemble-Adjusted p Values"). They are fixed before any test, so all intervals at these levels hold jointly.
"""

from collections.abc import Collection, Mapping

WEIGHTS: Mapping[str, float] = {
    "baselines": 1,  # better or worse than each baseline
    "slices": 2,  # weaker groups of rows, of which there are hundreds
    "calibration": 1,
    "centre": 1,  # ordered classes and numbers that are predicted too low or too high
    "quarters": 1,  # true values of numbers at which errors are larger
    "writing": 1,  # faults of generated texts
    "shift": 1,  # other rows than the run's own, and another figure on them
    "robustness": 1,
    "bias": 1,
    "fairness": 1,
}


def parts(kinds: Collection[str], confidence: float) -> dict[str, float]:
    """Return the part of the error that each kind of claim has.

    Args:
        kinds: Keys of `WEIGHTS` that a report may claim.
        confidence: Of all claims together; the parts sum to one minus it.
    """
    total = sum(WEIGHTS[kind] for kind in kinds)
    return {kind: (1 - confidence) * WEIGHTS[kind] / total for kind in WEIGHTS if kind in kinds}
