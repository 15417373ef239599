"""Translation through the real command line, with tiny models: from a Hub, from a folder, from every kind of file."""

import csv
import json
import signal
import time
from pathlib import Path

import polib
import pyarrow.parquet as pq
import pytest
import sacrebleu
from safetensors.numpy import load_file

from tests.support import bitext
from tests.support.browser import CHROMIUM, browser, check_page
from tests.support.cli import several, start, toolkit
from tests.support.dossiers import documented
from tests.support.hub import LocalHub
from tests.support.json_documents import check_file, problems

CATALOGUE = """# kept
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "one cat"
msgstr "eins Katze"

#, python-format
msgid "one %s sees two"
msgstr ""
"""
QUICK = ("--set", "data.validation_fraction=0.05", "--set", "data.test_fraction=0.1")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bitext.t5(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="module")
def run(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt some of the toy language."""
    folder = tmp_path_factory.mktemp("translation")
    bitext.tsv(folder / "toy.tsv", bitext.pairs(800))
    command = ("finetune", "translation", "--model", checkpoint, "--data", "toy.tsv", "--source", "en")
    settings = ("--target", "de", "--epochs", "5", "--learning-rate", "5e-3", "--output", "run", *QUICK)
    outcome = toolkit(*command, *settings, cwd=folder)
    assert outcome.code == 0, outcome.text
    assert "Better than before fine-tuning" in outcome.out
    assert "Better than copying the source" in outcome.out
    return folder / "run"


def test_report_has_sacrebleu_metrics_and_signatures(run: Path) -> None:
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    figures = {figure["name"]: figure for figure in report["evaluation"]["metrics"]}
    assert set(figures) == {"chrf", "bleu", "ter"}
    assert figures["chrf"]["low"] < figures["chrf"]["value"] < figures["chrf"]["high"]
    assert "tok:13a" in figures["bleu"]["signature"]
    assert "tok:tercom" in figures["ter"]["signature"]
    table = pq.read_table(run / "predictions.parquet")
    output, true = table["prediction"].to_pylist(), [table["target"].to_pylist()]
    assert figures["bleu"]["value"] == pytest.approx(sacrebleu.corpus_bleu(output, true).score)
    assert figures["chrf"]["value"] == pytest.approx(sacrebleu.corpus_chrf(output, true).score)
    assert figures["ter"]["value"] == pytest.approx(sacrebleu.corpus_ter(output, true).score)
    assert [baseline["name"] for baseline in report["baselines"]] == ["Copying the source", "Before fine-tuning"]
    for name in ("report.html", "report.md"):
        page = (run / name).read_text(encoding="utf-8").replace("\\", "")
        assert "tok:13a" in page
        assert "tok:tercom" in page


def test_documentation_has_the_figures_of_the_files(run: Path) -> None:
    assert documented(run, output=run.parent / "documents")["counts"]["from the run"] >= 18


def test_generation_settings_are_saved(run: Path) -> None:
    settings = json.loads((run / "model" / "generation_config.json").read_text(encoding="utf-8"))
    assert settings["num_beams"] == 4
    assert settings["max_length"] == 200  # and not 20
    card = json.loads((run / "model" / "toolkit.json").read_text(encoding="utf-8"))
    assert (card["options"]["source"], card["options"]["target"]) == ("en", "de")


def test_weights_that_fine_tuning_makes_worse_are_not_kept(run: Path, tmp_path: Path) -> None:
    bitext.tsv(tmp_path / "toy.tsv", bitext.pairs(80))
    command = ("finetune", "translation", "--model", run / "model", "--data", "toy.tsv", "--source", "en")
    settings = ("--target", "de", "--epochs", "1", "--learning-rate", "0.9", "--output", "worse", *QUICK)
    outcome = toolkit(*command, *settings, cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    report = json.loads((tmp_path / "worse" / "report.json").read_text(encoding="utf-8"))
    first, last = report["training"]["evaluations"]
    assert (first["step"], report["training"]["best_step"]) == (0, 0)
    assert first["chrf"] > last["chrf"]
    assert any("model as it was" in statement for statement in report["verdict"]["statements"])
    before, after = (load_file(folder / "model" / "model.safetensors") for folder in (run, tmp_path / "worse"))
    assert all((before[name] == after[name]).all() for name in before)


def test_evaluate_and_predict(run: Path, tmp_path: Path) -> None:
    rows = bitext.pairs(5, seed=9)
    bitext.tsv(tmp_path / "more.tsv", rows)
    bitext.tsv(tmp_path / "<b>more.tsv", [*rows, ("<script>alert(1)</script> cat", "<script>alert(2)</script> Katze")])
    judged = toolkit("evaluate", run, "--data", "<b>more.tsv", "--output", "judged", cwd=tmp_path)
    assert judged.code == 0, judged.text
    assert "chrF2" in judged.out
    page = (tmp_path / "judged" / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "<b>more" not in page
    check_page(tmp_path / "judged" / "report.html")
    (tmp_path / "in.txt").write_text("".join(f"{source}\n" for source, _ in rows), encoding="utf-8")
    outcome = toolkit("predict", run, "--input", "in.txt", "--output", "out.csv", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    with (tmp_path / "out.csv").open(encoding="utf-8") as stream:
        answers = list(csv.DictReader(stream))
    assert [answer["text"] for answer in answers] == [source for source, _ in rows]
    words = {word for answer in answers for word in answer["prediction"].split()}
    assert len(words & set(bitext.WORDS.values())) > len(words) / 2


def test_two_runs_are_compared_sentence_by_sentence(run: Path, tmp_path: Path) -> None:
    settings = ("--set", "options.beams=1", "--set", "options.length_factor=0.1")
    commands = [
        ("evaluate", run, "--output", "one"),
        ("evaluate", run, "--output", "other", *settings),
        ("compare", "one", "other", run, "--output", "all"),
    ]
    outcomes = several(commands, tmp_path)
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], outcomes[-1].text
    result = json.loads((tmp_path / "all" / "report.json").read_text(encoding="utf-8"))
    assert problems("report.json", result) == []
    assert len(result["comparison"]["pairs"]) == 3
    assert result["comparison"]["parted_by"] == "chrF2"
    page = (tmp_path / "all" / "report.html").read_text(encoding="utf-8")
    assert "TER (lower is better)" in page
    assert all("mcnemar" not in pair for pair in result["comparison"]["pairs"])


def test_opus_mt_of_the_pair_is_found_on_the_hub(tmp_path: Path) -> None:
    bitext.tsv(tmp_path / "toy.tsv", bitext.pairs(60), header="en\tfr")
    with LocalHub() as server:
        server.add("Helsinki-NLP/opus-mt-en-fr", bitext.marian(tmp_path / "marian"))
        command = ("finetune", "translation", "--source", "en", "--target", "fr", "--model", "opus-mt")
        env = server.environment(tmp_path / "hf")
        outcome = toolkit(*command, "--data", "toy.tsv", "--epochs", "1", *QUICK, cwd=tmp_path, env=env)
    assert outcome.code == 0, outcome.text
    assert "Helsinki-NLP/opus-mt-en-fr" in outcome.err
    (made,) = (tmp_path / "runs").iterdir()
    assert {"source.spm", "target.spm", "vocab.json"} <= {file.name for file in (made / "model").iterdir()}


def test_a_pair_is_needed_for_opus_mt(tmp_path: Path) -> None:
    bitext.tsv(tmp_path / "toy.tsv", bitext.pairs(60))
    outcome = toolkit("finetune", "translation", "--data", "toy.tsv", "--source", "en", cwd=tmp_path)
    assert outcome.code == 2
    assert "target is not set" in " ".join(outcome.err.split())


def test_a_misspelt_option_is_refused(tmp_path: Path) -> None:
    outcome = toolkit("finetune", "translation", "--sourse", "en", cwd=tmp_path)
    assert outcome.code == 2
    assert "--sourse" in outcome.err


def test_predict_writes_lines_and_catalogues(run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("one cat\n\ntwo %(name)s dog\n", encoding="utf-8")
    outcome = toolkit("predict", run, "--input", "in.txt", "--output", "out.txt", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    lines = (tmp_path / "out.txt").read_text(encoding="utf-8").split("\n")
    assert len(lines) == 4
    assert lines[1] == ""
    assert "%(name)s" in lines[2]
    assert "rows with placeholders or markup: 1; predictions that keep them: 1" in outcome.out
    (tmp_path / "in.po").write_text(CATALOGUE, encoding="utf-8")
    outcome = toolkit("predict", run, "--input", "in.po", "--output", "out.po", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    done = polib.pofile(str(tmp_path / "out.po"))
    assert [entry.msgstr.count("%s") for entry in done] == [0, 1]
    assert [entry.flags for entry in done] == [[], ["python-format", "fuzzy"]]
    again = toolkit("predict", run, "--input", "in.txt", "--output", "out2.po", cwd=tmp_path)
    assert again.code == 2
    assert "[output.unfit-format]" in again.err
    assert "out2.po" in again.err


def test_a_translation_is_aligned_with_its_source(run: Path, tmp_path: Path) -> None:
    at_once = toolkit("explain", run, "one cat sees two dog", "--output", "at-once", cwd=tmp_path)
    assert at_once.code == 0, at_once.text
    result = json.loads((tmp_path / "at-once" / "explanation.json").read_text(encoding="utf-8"))
    assert result["trust"] is None
    assert f"toolkit explain {run} --measure" in result["verdict"]["headline"]
    measured = toolkit("explain", run, "--measure", cwd=tmp_path)
    assert measured.code == 0, measured.text
    outcome = toolkit("explain", run, "one cat sees two dog", "--png", "--output", "aligned", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    assert "the diagonal for" in outcome.out
    result = json.loads((tmp_path / "aligned" / "explanation.json").read_text(encoding="utf-8"))
    check_file(tmp_path / "aligned" / "explanation.json", "explanation.json")
    (text,) = result["texts"]
    assert text["source_words"] == ["one", "cat", "sees", "two", "dog"]
    assert text["target_words"] == text["translation"].split()
    assert len(text["links"]) == len(text["target_words"])
    assert result["trust"]["texts"] == 30
    assert (tmp_path / "aligned" / "text-1.png").read_bytes().startswith(b"\x89PNG")
    if CHROMIUM is not None:
        with browser() as page:
            page.open((tmp_path / "aligned" / "explanation.html").as_uri())
            assert page.evaluate("document.querySelectorAll('ruby').length") == len(text["target_words"])
            assert page.complaints == []
            assert len(page.requests) == 1


def test_gold_alignment_gives_error_rate(run: Path, tmp_path: Path) -> None:
    rows = bitext.pairs(12, seed=5)
    bitext.tsv(tmp_path / "pairs.tsv", rows)
    gold = [" ".join(f"{place}-{place}" for place, _ in enumerate(source.split())) for source, _ in rows]
    (tmp_path / "gold.txt").write_text("\n".join(gold) + "\n", encoding="utf-8")
    command = ("explain", run, "--file", "pairs.tsv", "--gold", "gold.txt", "--output", "aligned")
    outcome = toolkit(*command, cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    check_file(tmp_path / "aligned" / "explanation.json", "explanation.json")
    rates = json.loads((tmp_path / "aligned" / "explanation.json").read_text(encoding="utf-8"))["error_rates"]
    assert rates["diagonal"]["value"] == 0  # this pair of languages goes word by word
    assert 0 < rates["random"] < 1
    assert 0 <= rates["attention"]["value"] < 1
    (tmp_path / "gold.txt").write_text("\n".join(gold[1:]) + "\n", encoding="utf-8")
    refused = toolkit(*command, cwd=tmp_path)
    assert refused.code == 2
    assert "[data.gold-mismatch]" in refused.err
    assert "11 lines" in refused.err
    assert "12 pairs" in refused.err
    untranslated = toolkit("explain", run, "one cat", "--gold", "gold.txt", cwd=tmp_path)
    assert untranslated.code == 2
    assert "[data.gold-mismatch]" in untranslated.err


def test_killed_predict_resumes_to_same_bytes(run: Path, tmp_path: Path) -> None:
    """Killed hard after its first part, and typed again."""
    rows = bitext.pairs(1300, seed=3)
    (tmp_path / "in.txt").write_text("".join(f"{source}\n" for source, _ in rows), encoding="utf-8")
    command = ("predict", run, "--input", "in.txt", "--set", "options.beams=2", "--output")
    process = start(*command, "out.txt", cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".out.txt.parts/000000.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "out.txt").exists()
    again = toolkit(*command, "out.txt", cwd=tmp_path)
    assert again.code == 0, again.text
    assert "rows were already predicted" in again.err
    whole = toolkit(*command, "whole.txt", cwd=tmp_path)
    assert whole.code == 0, whole.text
    assert (tmp_path / "out.txt").read_bytes() == (tmp_path / "whole.txt").read_bytes()
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").count("\n") == 1300


def test_a_glossary_is_checked(run: Path, tmp_path: Path) -> None:
    bitext.tsv(tmp_path / "more.tsv", bitext.pairs(20, seed=9))
    (tmp_path / "terms.csv").write_text("cat,Katze\ndog,Pudel\n", encoding="utf-8")
    command = ("evaluate", run, "--data", "more.tsv", "--glossary", "terms.csv", "--output", "judged")
    outcome = toolkit(*command, cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    report = json.loads((tmp_path / "judged" / "report.json").read_text(encoding="utf-8"))
    glossary = report["evaluation"]["writing"]["glossary"]
    kept = {term["term"]: term["kept"] for term in glossary["terms"]}
    assert kept["dog"] == 0 <= kept["cat"] <= 1
    assert 0 < glossary["references_kept"] < 1  # they contain Katze, and never Pudel
    assert "Glossary terms.csv: kept in" in (tmp_path / "judged" / "report.md").read_text(encoding="utf-8")


def test_adapters_are_trained_and_merged(checkpoint: Path, tmp_path: Path) -> None:
    bitext.tsv(tmp_path / "toy.tsv", bitext.pairs(300))
    command = (
        "finetune",
        "translation",
        "--model",
        checkpoint,
        "--data",
        "toy.tsv",
        "--source",
        "en",
        "--target",
        "de",
    )
    lora = ("--preset", "lora", "--epochs", "2", "--learning-rate", "1e-2", "--output", "run", *QUICK)
    outcomes = several([(*command, *lora), ("evaluate", "run", "--fresh", "--output", "again")], tmp_path)
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes[-1].text
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    first, last = (item["loss"] for item in report["training"]["evaluations"][:2])
    assert last < first
    repeated = json.loads((tmp_path / "again" / "report.json").read_text(encoding="utf-8"))
    assert repeated["evaluation"]["metrics"] == report["evaluation"]["metrics"]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["mbart", "mbart50", "m2m100", "nllb"])
def test_a_multilingual_model_learns_and_translates(family: str, tmp_path: Path) -> None:
    model = bitext.multilingual(tmp_path / "tiny", family)
    bitext.tsv(tmp_path / "toy.tsv", bitext.pairs(800))
    command = ("finetune", "translation", "--model", model, "--data", "toy.tsv", "--source", "en", "--target", "de")
    settings = ("--epochs", "20", "--batch-size", "16", "--learning-rate", "5e-3", "--output", "run", *QUICK)
    outcome = toolkit(*command, *settings, cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    losses = [item["loss"] for item in report["training"]["evaluations"]]
    assert losses[-1] < losses[0] - 0.2
    (tmp_path / "in.txt").write_text("one cat sees two\n", encoding="utf-8")
    result = toolkit("predict", "run", "--input", "in.txt", "--output", "out.txt", cwd=tmp_path)
    assert result.code == 0, result.text
    words = (tmp_path / "out.txt").read_text(encoding="utf-8").split()
    assert words
    assert not {"de_DE", "__de__", "deu_Latn"} & set(words)


def test_inspect_lists_unwritable_characters(checkpoint: Path, tmp_path: Path) -> None:
    rows = [*bitext.pairs(20), ("one cat", "eins Katze ñ")]
    bitext.tsv(tmp_path / "toy.tsv", [*rows, ("one two", "one two")])
    command = ("inspect", "toy.tsv", "--recipe", "translation", "--model", checkpoint)
    outcome = toolkit(*command, "--source", "en", "--target", "de", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    assert "ñ (1)" in outcome.text
    assert "the translation is identical to the source" in outcome.text


def test_from_scratch_with_no_network(tmp_path: Path) -> None:
    bitext.tsv(tmp_path / "toy.tsv", bitext.pairs(300))
    size = ("--vocabulary", "300", "--width", "32", "--layers", "1")
    command = ("finetune", "translation", "--from-scratch", "--data", "toy.tsv", "--source", "en", "--target", "de")
    smoothed = ("--set", "loss.label_smoothing=0.1")
    outcome = toolkit(*command, *size, *smoothed, "--epochs", "2", "--output", "run", *QUICK, cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["training"]["objective"] == "cross entropy, labels smoothed by 0.1"
    assert [baseline["name"] for baseline in report["baselines"]] == ["Copying the source"]
    evaluations = report["training"]["evaluations"]
    assert evaluations[1]["loss"] < evaluations[0]["loss"]
    again = toolkit("evaluate", "run", "--fresh", "--output", "again", cwd=tmp_path)
    assert again.code == 0, again.text


@pytest.mark.slow
def test_model_from_scratch_learns_to_translate(tmp_path: Path) -> None:
    bitext.tsv(tmp_path / "toy.tsv", bitext.pairs(3000))
    size = ("--vocabulary", "320", "--width", "64", "--layers", "1", "--learning-rate", "5e-3")
    command = ("finetune", "translation", "--from-scratch", "--data", "toy.tsv", "--source", "en", "--target", "de")
    outcome = toolkit(*command, *size, "--epochs", "15", "--output", "run", *QUICK, cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    figures = {figure["name"]: figure["value"] for figure in report["evaluation"]["metrics"]}
    assert figures["bleu"] > 50
