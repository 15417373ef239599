"""The benchmark of recommendation: its table."""

from benchmarks import recommend


def figures(value: float) -> dict[str, dict[str, float]]:
    interval = {"value": value, "low": value - 0.01, "high": value + 0.01}
    return dict.fromkeys(recommend.COLUMNS, interval)


def test_table_has_the_model_and_its_baselines_with_seconds():
    entry = {
        "figures": {recommend.MODEL: figures(0.2), "Popularity": figures(0.1)},
        "training_seconds": 61.04,
        "baseline_seconds": {"Popularity": 0.5},
    }
    *_, own, other = recommend.markdown({"data": {"films": entry}}).splitlines()
    assert [cell.strip() for cell in own.strip("|").split("|")] == [
        *("films", recommend.MODEL, "0.200 (0.190 to 0.210)", "20.0 % (19.0 to 21.0)", "0.200 (0.190 to 0.210)", "61.0")
    ]
    assert other.split("|")[1:3] == ["  ", " Popularity "]
    assert other.endswith("| 0.5 |")
