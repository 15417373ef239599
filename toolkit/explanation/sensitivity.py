"""Whether an explanation changes when the model's weights are randomized.

The weights are made random from the head downwards, by shuffling the numbers of each tensor, which keeps their size.
An explanation that ranks the words as before did not depend on what the model had learned.

Source: Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3.1 (cascading randomization).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from toolkit.explanation.attributions import Explanation, explain
from toolkit.explanation.question import Model
from toolkit.explanation.words import Floats

STAGES = ("the head", "the head and the upper half of the layers", "everything")


def sensitivity(
    model: Model,
    explanations: Sequence[Explanation],
    methods: Sequence[str],
    seed: int,
    observe: Callable[[int, int], None] = lambda _done, _total: None,
    stop: Callable[[], bool] = lambda: False,
) -> Mapping[str, Sequence[Sequence[float]]]:
    """Explain texts again as the weights become random, and compare the rankings of their words.

    Args:
        model: The classifier; its weights are put back afterwards.
        explanations: Of the trained model, one a text.
        methods: To compare.
        seed: Of the shuffling.
        observe: Called with (texts done, texts in all).
        stop: Called in the first stage, from the second text on; returns whether to leave out the rest, in all stages.

    Returns:
        Method → for each of `STAGES` the rank correlation of each text's scores, regardless of their sign, with
        those of the trained model.
    """
    correlations: dict[str, list[list[float]]] = {name: [] for name in methods}
    done, number = 0, len(explanations)
    for stage, tensors in enumerate(stages(model.network)):
        with shuffled(tensors, seed):
            rows: list[dict[str, float]] = []
            for before in explanations[:number]:
                after = explain(model, before.example, before.target, methods)
                rows.append({name: rank_correlation(before.scores[name], after.scores[name]) for name in methods})
                done += 1
                observe(done, len(STAGES) * number)
                if stage == 0 and done > 1 and stop():  # an interval needs two
                    number = done
                    break
        for name in methods:
            correlations[name].append([row[name] for row in rows])
    return correlations


def stages(network: Any) -> list[list[Any]]:
    """Return the tensors to make random at each of `STAGES`.

    Layers are the entries of the network's longest list of modules; what was made after them is the head.
    """
    import torch

    lists = [module for module in network.modules() if isinstance(module, torch.nn.ModuleList)]
    layers = list(max(lists, key=lambda layers_of_list: len(layers_of_list), default=[]))
    inside = [{id(p) for p in layer.parameters()} for layer in layers]
    every = list(network.parameters())
    last = max((place for place, p in enumerate(every) if any(id(p) in layer for layer in inside)), default=-1)
    head = every[last + 1 :]
    upper = set().union(*inside[len(inside) // 2 :])
    return [head, [*head, *(p for p in every if id(p) in upper)], every]


@contextmanager
def shuffled(tensors: Sequence[Any], seed: int) -> Iterator[None]:
    """Within the block, the numbers of each tensor are in a random order."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    kept = [tensor.detach().clone() for tensor in tensors]
    try:
        with torch.no_grad():
            for tensor in tensors:
                order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
                tensor.copy_(tensor.flatten()[order].view_as(tensor))
        yield
    finally:
        with torch.no_grad():
            for tensor, before in zip(tensors, kept, strict=True):
                tensor.copy_(before)


def rank_correlation(scores: Floats, other: Floats) -> float:
    """Return Spearman's correlation of two lists of scores, regardless of sign; 0 where one ranks nothing."""
    from scipy.stats import rankdata

    first, second = rankdata(np.abs(scores)), rankdata(np.abs(other))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
