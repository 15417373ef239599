"""The benchmark of few labels: its table."""

from benchmarks import few_labels


def one(number, probe, other, peer):
    ways = {"linear probe": {"accuracy": probe}, "fine-tuning": {"accuracy": other}}
    own = {"ways": ways, "chosen": "fine-tuning", "cpu_seconds": 20.0, "comparison_cpu_seconds": 9.0}
    setfit = {} if peer is None else {"setfit": {"accuracy": peer, "training_cpu_seconds": 80.0}}
    return {"set": "films", "rows_per_class": 8, "draw": number, **own, **setfit}


def test_table_has_mean_and_spread_of_the_draws():
    record = {"draws": [one(0, 0.6, 0.62, 0.6), one(1, 0.64, 0.66, None)]}
    *_, line = few_labels.markdown(record).splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["films", "8", "2", "62.0 ± 2.8", "64.0 ± 2.8", "64.0 ± 2.8", "60.0 (1)", "20", "80"]
