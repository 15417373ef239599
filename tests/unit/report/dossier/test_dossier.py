"""The technical documentation of a stored run: traced figures, blanks, escaping, and what is refused."""

import json
from pathlib import Path

import pytest

import toolkit
from tests.support.dossiers import documented, entry_of, make_run, states
from tests.support.errors import refused
from tests.support.reports import sample
from toolkit import runs
from toolkit.config.card_extra import CardExtra, about
from toolkit.errors import ConfigError, ModelError, SourceError
from toolkit.report.dossier.content import Automatic, Blank, source_of
from toolkit.report.dossier.points import POINTS
from toolkit.report.dossier.traces import Figure, Node

ENTRIES = [entry for point in POINTS for entry in point.entries]
LETTERS = [
    "1(a)",
    "1(b)",
    "1(c)",
    "1(d)",
    "1(e)",
    "1(f)",
    "1(g)",
    "1(h)",
    "2(a)",
    "2(b)",
    "2(c)",
    "2(d)",
    "2(e)",
    "2(f)",
]
NUMBERS = [*LETTERS, "2(g)", "2(h)", "3", "4", "5", "6", "7", "8", "9"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path, sample())


def test_points_are_those_of_the_annex_in_order():
    numbers = [entry.number for entry in ENTRIES]
    assert list(dict.fromkeys(numbers)) == NUMBERS
    assert [point.number for point in POINTS] == [str(number) for number in range(1, 10)]
    assert all(entry.number.startswith(point.number) for point in POINTS for entry in point.entries)


def test_each_key_is_one_blank_with_a_text_that_says_what_to_write():
    keys = [entry.key for entry in ENTRIES if isinstance(entry, Blank)]
    assert sorted(keys) == sorted(CardExtra.model_fields)
    assert all(len(str(field.description)) > 20 for field in CardExtra.model_fields.values())
    titles = [entry.title for entry in ENTRIES]
    assert len(set(titles)) == len(titles)


def test_figures_are_those_of_the_files(run: Path):
    content = documented(run)
    found = states(content)
    measured = ("Metrics", "Calibration", "Robustness", "Bias", "Groups of people in a column", "Operating points",
                "Near-duplicates between test and train", "Figures by group of rows", "Explanations of predictions",
                "Time of a prediction", "Baselines", "Quality of the labels")  # fmt: skip
    assert {found[title] for title in measured} == {"from the run"}
    table = entry_of(content, "Metrics")["content"][-1]
    assert table["rows"][0][1] == {
        "text": "83.9 % (81.8 to 86.0)",
        "file": "report.json",
        "key": "evaluation.metrics[0]",
        "value": {"value": 0.839, "low": pytest.approx(0.818), "high": pytest.approx(0.86)},
    }


def test_missing_checks_are_named_with_the_command_that_runs_them(tmp_path: Path):
    report = sample()
    for key in ("robustness", "bias", "fairness", "cost", "screening", "faithfulness"):
        del report["evaluation"][key]
    run = make_run(tmp_path, report)
    content = documented(run)
    commands = {
        "Robustness": "--checks robustness",
        "Bias": "--checks bias",
        "Time of a prediction": "--checks cost",
        "Explanations of predictions": "--checks faithfulness",
        "Groups of people in a column": "--set evaluation.group_column=COLUMN",
        "Operating points": "--set evaluation.positive_class=CLASS",
    }
    for title, options in commands.items():
        entry = entry_of(content, title)
        assert entry["state"] == "not measured"
        assert entry["command"] == f"toolkit evaluate {run.name} {options}"
    assert content["counts"]["not measured"] == len(commands)


def test_a_later_evaluation_of_the_same_rows_adds_its_checks(tmp_path: Path):
    whole, without = sample(), sample()
    del without["evaluation"]["bias"]
    run = make_run(tmp_path, without)
    later = run / "evaluations" / "held-out" / "report.json"
    runs.write_json(later, whole)
    content = documented(run)
    figures = [cell for row in entry_of(content, "Bias")["content"][0]["rows"] for cell in row if "file" in cell]
    assert {figure["file"] for figure in figures} == {"evaluations/held-out/report.json"}
    whole["evaluation"]["metrics"][0]["value"] = 0.5  # of other rows or of another model
    runs.write_json(later, whole)
    assert states(documented(run))["Bias"] == "not measured"


def test_entries_that_only_people_can_fill_are_counted(run: Path, tmp_path: Path):
    blanks = len(CardExtra.model_fields)
    nothing = documented(run)
    assert nothing["counts"]["left to you"] == blanks
    assert nothing["summary"].startswith(f"{blanks} of {len(ENTRIES) - nothing['counts']['does not apply']} entries")
    extra = tmp_path / "extra.yaml"
    extra.write_text("provider: |\n  Acme\n\n  2026-01-01, *Berlin*\npost_market_plan: ''\n", encoding="utf-8")
    given = documented(run, card_extra=extra)
    assert (given["counts"]["left to you"], given["counts"]["given by you"]) == (blanks - 1, 1)
    assert [part["text"] for part in entry_of(given, "Provider")["content"]] == ["Acme", "2026-01-01, *Berlin*"]
    assert "2026-01-01, \\*Berlin\\*" in (run / "dossier" / "dossier.md").read_text(encoding="utf-8")


def test_unknown_keys_are_refused_with_the_nearest_one(run: Path, tmp_path: Path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("intended_purpos: sorting mail\n", encoding="utf-8")
    with refused(ConfigError, "config.unknown-key", "`intended_purpos`", "`intended_purpose`"):
        toolkit.dossier(run, card_extra=extra, progress=False)
    assert not (run / "dossier").exists()


def test_texts_of_the_data_are_escaped(tmp_path: Path):
    label = "<script>alert(1)</script> | `x` [a](http://b)"
    report = json.loads(json.dumps(sample()).replace('"negative"', json.dumps(label)))
    run = make_run(tmp_path, report)
    documented(run)
    text = (run / "dossier" / "dossier.md").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; \\| \\`x\\` \\[a\\](http\\://b)" in text
    assert "](http:" not in text
    for table in text.split("\n\n"):
        cells = {line.replace("\\|", "").count("|") for line in table.splitlines() if line.startswith("|")}
        assert len(cells) <= 1, table


def test_private_paths_are_left_out(tmp_path: Path):
    report = sample()
    report["model"]["origin"] = "/home/someone/models/bert"
    report["command"] = "toolkit finetune sentiment --data /home/someone/reviews.csv"
    run = make_run(tmp_path, report)
    content = documented(run)
    pages = (run / "dossier" / "dossier.md").read_text(encoding="utf-8") + json.dumps(content)
    assert "someone" not in pages
    assert str(tmp_path) not in pages
    assert "reviews.csv" in pages


def test_equal_runs_give_equal_bytes(run: Path):
    toolkit.dossier(run, progress=False)
    first = (run / "dossier" / "dossier.md").read_bytes()
    toolkit.dossier(run, progress=False)
    assert (run / "dossier" / "dossier.md").read_bytes() == first


def test_changed_and_unfinished_runs_are_refused(run: Path, tmp_path: Path):
    (run / "model" / "model.safetensors").write_text("other weights", encoding="utf-8")
    with refused(SourceError, "run.changed", "model.safetensors"):
        toolkit.dossier(run, progress=False)
    other = make_run(tmp_path / "other", sample(), status="running")
    with refused(ModelError, "run.unfinished"):
        toolkit.dossier(other, progress=False)
    with refused(SourceError, "run.not-a-run"):
        toolkit.dossier(tmp_path, progress=False)
    with refused(SourceError, "run.not-found"):
        toolkit.dossier(tmp_path / "nowhere", progress=False)


def test_keys_are_in_the_syntax_of_jq():
    node = Node("f", "", {"a b": [{"c": 1}], 'say "x"': 2})
    assert node["a b"][0]["c"].source == 'f: ["a b"][0].c'
    assert node['say "x"'].key == '["say \\"x\\""]'
    assert not node["none"]["of"][3]
    assert node["a b"][0]["c"]


@pytest.mark.parametrize(
    ("keys", "common"),
    [
        (["a.b[0].c"], "a.b[0].c"),
        (["a.b[0].c", "a.b[0].d"], "a.b[0]"),
        (["a.b[1]", "a.b[10]"], "a.b"),
        (["a.b", "a.bc"], "a"),
        (["a[0]", "a[0].x"], "a[0]"),
        (["a", "b"], ""),
    ],
)
def test_source_of_a_row_is_what_its_keys_share(keys: list[str], common: str):
    row = ["name", *(Figure("1", Node("r.json", key, 1)) for key in keys)]
    assert source_of(row) == (f"r.json: {common}" if common else "r.json")
    assert source_of(["only words"]) == ""


def test_every_automatic_entry_survives_an_empty_report(tmp_path: Path):
    """A report holds only what was measured, and any key may be missing."""
    report = sample()
    report["evaluation"] = {"metrics": [{"name": "accuracy", "value": 0.5}]}
    report["training"] = None
    report["baselines"] = []
    run = make_run(tmp_path, report)
    content = documented(run, least=20)
    automatic = sum(isinstance(entry, Automatic) for entry in ENTRIES)
    counts = content["counts"]
    assert counts["from the run"] + counts["not measured"] + counts["does not apply"] == automatic
    assert counts["not measured"] >= 8


def test_the_page_lists_every_key():
    page = Path(__file__).parents[4] / "docs" / "dossier.md"
    text = page.read_text(encoding="utf-8")
    for entry in ENTRIES:
        if isinstance(entry, Blank):
            assert f"| {entry.number} | `{entry.key}` | {about(entry.key)} |" in text
    assert f"have {len(ENTRIES)} entries" in text
