"""Laws of the simulated scaling, and its table in the documentation."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import plan, scaling
from benchmarks.finetune import RESULTS, ROOT
from benchmarks.scaling import Cluster, Workload, exchange, ring_volume, slowest, step, table

WORK = Workload(flops=6e10, launches=2000, inputs=1e-5)
COUNT = st.sampled_from(scaling.COUNTS)


@given(COUNT, st.floats(1, 1e9))
def test_volume_of_a_ring(n: int, size: float) -> None:
    assert ring_volume(n, size) == pytest.approx(2 * (n - 1) / n * size)
    assert ring_volume(n, size) < 2 * size


@given(COUNT, st.floats(1e3, 1e10))
def test_exchange_is_no_faster_than_the_bandwidth(n: int, size: float) -> None:
    cluster = Cluster()
    assert exchange(n, size, cluster) >= ring_volume(n, size) / cluster.bandwidth(n)


@given(COUNT, st.floats(1, 1024), st.floats(1, 100), st.booleans())
def test_more_bandwidth_never_takes_longer(n: int, examples: float, factor: float, overlap: bool) -> None:
    cluster = Cluster()
    faster = replace(cluster, inside=cluster.inside * factor, outside=cluster.outside * factor)
    now, then = (step(n, examples, WORK, c, overlap=overlap).seconds for c in (cluster, faster))
    assert then <= now * (1 + 1e-12)


@given(COUNT, st.floats(1, 1024))
def test_overlap_never_takes_longer(n: int, examples: float) -> None:
    without, overlapped = (step(n, examples, WORK, Cluster(), overlap=overlap).seconds for overlap in (False, True))
    assert overlapped <= without


@given(st.floats(0.001, 0.5))
def test_the_slowest_of_more_is_slower(jitter: float) -> None:
    means = [slowest(n, jitter) for n in (1, 2, 8, 64, 1024)]
    assert means == sorted(means)
    assert means[0] == 1


def test_the_slowest_of_two_is_that_of_draws() -> None:
    import numpy as np

    draws = np.random.default_rng(0).lognormal(-0.02, 0.2, (400_000, 2)).max(axis=1)
    assert slowest(2, 0.2) == pytest.approx(draws.mean(), rel=0.003)


@pytest.mark.parametrize("direction", scaling.DIRECTIONS)
@pytest.mark.parametrize("way", scaling.WAYS)
def test_efficiency(direction: str, way: str) -> None:
    rows = table(WORK, Cluster())[direction]
    efficiencies = [row[way]["efficiency"] for row in rows]
    assert efficiencies[0] == 1
    assert all(0 < value <= 1 for value in efficiencies)
    assert efficiencies == sorted(efficiencies, reverse=True)


def test_what_bounds_a_step() -> None:
    slow_network = replace(Cluster(), inside=1e9)
    assert step(8, 8, WORK, slow_network, overlap=False).bound.startswith("exchange")
    assert step(1, 8, replace(WORK, inputs=1.0), Cluster(), overlap=False).bound == "inputs"
    assert step(1, 4096, WORK, Cluster(), overlap=False).bound.startswith("matrix products")
    assert step(1, 1, WORK, Cluster(), overlap=False).bound.startswith("start of operations")


def test_documentation_has_the_recorded_tables() -> None:
    record = json.loads((RESULTS / "scaling.json").read_text(encoding="utf-8"))
    assert scaling.markdown(record) in (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    recomputed = table(Workload(**record["workload"]), Cluster(**record["cluster"]))
    assert [row["toolkit"]["bound"] for row in recomputed["weak"]] == [
        row["toolkit"]["bound"] for row in record["rows"]["weak"]
    ]


def test_documentation_has_the_recorded_plans() -> None:
    record = json.loads((RESULTS / "plan-cpu.json").read_text(encoding="utf-8"))
    assert plan.markdown(record) in (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    assert record["cases"].keys() == plan.CASES.keys()
    for case in record["cases"].values():
        assert abs(case["memory_error"]) < 0.15
        assert abs(case["time_error"]) < 0.15
        assert case["steps"] == case["planned_steps"]
