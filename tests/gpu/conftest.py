"""Tests that compute on a GPU; without one they are skipped."""

import pytest


@pytest.fixture(autouse=True)
def gpus() -> int:
    """How many GPUs there are."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.cuda.device_count()
