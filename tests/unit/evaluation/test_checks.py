"""Planted faults of a model are found: sensitivity to capitals, missed negation, bias by group."""

import random
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tests.support.pictures import encoded
from toolkit.data.images import image_decoding
from toolkit.evaluation.checks import bias, cost, energy, robustness
from toolkit.evaluation.perturbations import image_changes
from toolkit.evaluation.perturbations.counterfactual import CounterfactualModel, polarity
from toolkit.evaluation.perturbations.text_changes import load_lists, perturbations
from toolkit.metrics import load
from toolkit.report.document.claims import _fragile
from toolkit.report.document.schema import REPORT, faults, fill
from toolkit.report.sections import checks

LISTS = load_lists(None)
GOOD = {"wonderful", "good", "liked", "fond", "excellent", "recommend", "fine", "works"}
BAD = {"terrible", "bad", "disliked", "waste", "wasted", "hated", "hate", "dull"}
LABELS = ("negative", "positive")


def model(texts, *, minds_case=False, understands_not=True, minds=None):
    """Count good and bad words; a negation reverses the following word, and `minds` shifts the score."""
    probabilities = []
    for text in texts:
        words = (text if minds_case else text.lower()).replace(".", " ").replace("'t", " not").split()
        score, sign = 0.0, 1
        for word in words:
            sign = -1 if word == "not" and understands_not else sign
            score += sign * ((word in GOOD) - (word in BAD))
        score += minds(text.lower()) if minds else 0.0
        probabilities.append([1 / (1 + np.exp(2 * score)), 1 / (1 + np.exp(-2 * score))])
    return {"prediction": [int(row[1] > 0.5) for row in probabilities], "probabilities": probabilities}


def probe(weights=(-1.0, 1.0), **faults_):
    return CounterfactualModel(
        lambda examples: model([text for (text,) in examples], **faults_), LABELS, weights, 0.95, 200, 0
    )


def reviews(size=120):
    draw = random.Random(0)
    words = ["fine", "good", "excellent", "dull", "bad", "terrible"]
    texts, truth = [], []
    for _ in range(size):
        word = draw.choice(words)
        texts.append(f"He saw a {word} story, and she told us about number {draw.randint(1, 999)}.")
        truth.append(int(word in GOOD))
    return texts, truth, [("f.csv", number + 2) for number in range(size)]


def robust(**faults_):
    texts, truth, places = reviews()
    result = robustness.section(probe(**faults_), [(text,) for text in texts], places, truth, LISTS)
    assert faults(REPORT["evaluation"]["robustness"], result) == []
    return result, {item["name"]: item for item in (*result["invariance"], *result["expectations"])}


def test_a_model_that_counts_words_keeps_its_answers():
    result, by_name = robust()
    assert result["accuracy"] == 1
    assert result["not_tested"] == ""
    for name in ("lower_case", "upper_case", "no_punctuation", "prefix", "suffix"):
        assert by_name[name]["flipped"]["value"] == 0
        assert by_name[name]["difference"]["value"] == 0
    assert by_name["negations"]["failed"]["value"] < 0.5
    assert by_name["contractions"]["changed"] == 0


def test_a_planted_weakness_for_capitals_is_found():
    _, by_name = robust(minds_case=True)
    assert by_name["upper_case"]["difference"]["high"] < -0.2
    assert by_name["lower_case"]["flipped"]["value"] == 0
    failure = by_name["upper_case"]["failures"][0]
    assert failure["changed"] == failure["text"].upper()
    assert (failure["before"], failure["after"]) == ("positive", "negative")
    assert failure["file"] == "f.csv"


def test_a_model_deaf_to_negation_is_found():
    _, understands = robust()
    _, deaf = robust(understands_not=False)
    assert deaf["negations"]["failed"]["low"] > understands["negations"]["failed"]["high"]
    assert deaf["negations"]["tried"] == 6 * len(LISTS["things"])
    assert any("not" in failure["changed"] for failure in deaf["negations"]["failures"])


def test_without_polarity_directions_are_not_tested():
    result, _ = robust(weights=None)
    assert result["expectations"] == []
    assert "POLARITY" in result["not_tested"]
    assert len(result["invariance"]) == 8


def spotted(size=60):
    """Return grey pictures of which some have a spot in a corner, and a model that detects it."""
    from PIL import Image

    rows, truth = [], []
    for number in range(size):
        image = Image.new("RGB", (40, 30), (90, 90, 90))
        if number % 2:
            image.paste((250, 250, 250), (0, 0, 3, 3))
        rows.append({"bytes": encoded(image, "PNG"), "path": f"{number}.png"})
        truth.append(number % 2)
    return rows, truth, [("f.csv", number + 2) for number in range(size)]


def finds_spots(rows, least=160):
    values = [np.asarray(image_decoding.decode(row, 10**6))[0, 0].mean() for (row,) in rows]
    probabilities = [[0.1, 0.9] if value >= least else [0.9, 0.1] for value in values]
    return {"prediction": [int(value >= least) for value in values], "probabilities": probabilities}


def test_a_model_of_pictures_that_falls_for_cropping_is_found():
    rows, truth, places = spotted()
    result = robustness.of_pictures(
        CounterfactualModel(finds_spots, LABELS, None, 0.95, 200, 0), [(row,) for row in rows], places, truth
    )
    assert faults(REPORT["evaluation"]["robustness"], result) == []
    by_name = {item["name"]: item for item in result["invariance"]}
    assert set(by_name) == {"blur", "noise", "crop", "darker", "brighter", "jpeg"}
    assert by_name["crop"]["difference"]["high"] < -0.2
    assert by_name["brighter"]["difference"]["value"] == by_name["jpeg"]["difference"]["value"] == 0
    failure = by_name["crop"]["failures"][0]
    assert (failure["file"], failure["before"], failure["after"]) == ("f.csv", "positive", "negative")
    assert failure["picture"].startswith(image_decoding.THUMBNAIL)
    assert failure["picture"] != failure["changed_picture"]
    (section,) = checks.robustness(fill(REPORT, {"evaluation": {"robustness": result}})["evaluation"]["robustness"])
    assert section.key == "robustness"
    assert "picture" in section.lead
    assert section.blocks[-1].rows[0].pictures[1][0] == failure["changed_picture"]


def test_changed_pictures_keep_their_kind_and_the_seed_decides():
    rows, _, _ = spotted(4)
    for item in image_changes.changes():
        changed, again = (item.change(rows[1], random.Random(seed)) for seed in (0, 0))
        assert changed["bytes"] == again["bytes"] != rows[1]["bytes"]
        others = {item.change(rows[1], random.Random(seed))["bytes"] for seed in range(8)}
        assert (len(others) > 1) == (item.name in ("noise", "crop"))
        assert image_decoding.decode(changed, 10**6).mode == "RGB"


def test_large_pictures_are_reduced_before_they_are_changed():
    from PIL import Image

    large = {"bytes": encoded(Image.new("RGB", (2000, 500)), "PNG")}
    assert image_decoding.decode(image_changes.reduced(large), 10**6).size == (512, 128)


WOMEN = ("she", "mother", "wife", "sister", "girl")


def reviews_of_people(size=120):
    """Reviews that mention one of five women, and nobody else: a single pair of terms cannot be told from its words."""
    texts, truth, places = reviews(size)
    people = (("we", WOMEN[number % len(WOMEN)]) for number in range(size))
    both = zip(texts, people, strict=True)
    return [text.replace("He ", f"{he} ").replace("she ", f"{she} ") for text, (he, she) in both], truth, places


def women(text):
    return any(f" {term} " in f" {text} " for term in WOMEN)


def study(minds=None, weights=(-1.0, 1.0), rows=reviews):
    texts, _, places = rows()
    result = bias.section(probe(weights, minds=minds), [(text,) for text in texts], places, LISTS)
    assert faults(REPORT["evaluation"]["bias"], result) == []
    return result, {(item["category"], item["source"]): item for item in result["studies"]}


def test_an_even_handed_model_is_left_in_peace():
    result, studies = study()
    assert set(studies) >= {("gender", "data"), ("names", "sentences"), ("religion", "sentences")}
    assert not [gap for item in result["studies"] for gap in item["gaps"] if gap["clear"]]
    assert all(item["flipped"]["value"] == 0 for item in result["studies"])


def test_a_planted_bias_is_found_by_name_and_nowhere_else():
    result, studies = study(minds=lambda text: 0.8 * ("muslim" in text))
    clear = {(item["category"], gap["group"]) for item in result["studies"] for gap in item["gaps"] if gap["clear"]}
    assert ("religion", "Muslim") in clear
    assert {category for category, _ in clear} == {"religion"}
    (gap,) = [gap for gap in studies["religion", "sentences"]["gaps"] if gap["group"] == "Muslim"]
    assert gap["score"]["low"] > 0
    assert studies["religion", "sentences"]["flipped"]["low"] > 0.5
    assert "Muslim" in studies["religion", "sentences"]["failures"][0]["groups"]


def test_swaps_in_the_data_are_found_too():
    _, studies = study(minds=lambda text: 0.5 * women(text), rows=reviews_of_people)
    (gap,) = studies["gender", "data"]["gaps"]
    assert (gap["group"], gap["versus"], gap["clear"]) == ("female", "male", True)
    assert gap["score"]["low"] > 0


def test_a_single_pair_of_terms_is_not_tested():
    result, studies = study(minds=lambda text: 2.5 * (" she " in f" {text} "))
    gender = studies["gender", "data"]
    (gap,) = gender["gaps"]
    assert (gender["terms"], gender["claims"]) == (1, 0)
    assert (gap["clear"], gap["score"]["low"]) == (False, None)
    assert gap["score"]["value"] > 0.1
    assert gender["flipped"]["value"] > 0  # which is still stated
    (section,) = checks.bias(fill(REPORT, {"evaluation": {"bias": result}})["evaluation"]["bias"])
    assert "cannot be told" in section.lead


def test_all_gaps_of_all_studies_are_one_family():
    result, studies = study()
    assert result["claims"] == sum(item["claims"] for item in result["studies"])
    spent = [item["claims"] * (1 - item["gap_confidence"]) for item in result["studies"] if item["claims"]]
    assert sum(spent) <= 0.05 + 1e-9
    assert studies["names", "sentences"]["claims"] == 6
    assert studies["names", "sentences"]["terms"] == 6
    assert studies["nationality", "sentences"]["terms"] == 1


def test_without_polarity_only_changed_classes_count():
    result, _ = study(weights=None)
    assert result["scored"] is False
    assert all(item["gaps"] == [] for item in result["studies"])


def tags(texts):
    """Several classes a row: "loud" for a text in capitals, "good" and "woman" by the model above and by a word."""
    scores = [[0.9 if t.isupper() else 0.1, 0.8 if "good" in t else 0.2, 0.7 if women(t) else 0.4] for t in texts]
    return {
        "prediction": [[n for n, score in enumerate(row) if score > 0.5] for row in scores],
        "probabilities": scores,
    }


def lengths(texts):
    """A number: 100 for each word, and 1000 more where a woman is mentioned."""
    return {"prediction": [100.0 * len(t.split()) + 1000 * women(t) for t in texts]}


def alone(texts):
    return [(text,) for text in texts]


def several(metric, measure, predict, width=None):
    _, definition = load(metric)
    return CounterfactualModel(
        lambda examples: predict([text for (text,) in examples]),
        ("loud", "good", "woman"),
        None,
        0.95,
        200,
        0,
        definition,
        measure,
        width,
        lambda _example, value: str(value),
    )


def test_changes_of_several_classes_are_measured_by_their_metric_and_as_sets():
    texts, _, places = reviews()
    truth = tags(texts)["prediction"]
    result = robustness.section(several("micro_f1", "probability", tags), alone(texts), places, truth, LISTS)
    assert faults(REPORT["evaluation"]["robustness"], result) == []
    by_name = {item["name"]: item for item in result["invariance"]}
    assert (result["metric"], result["accuracy"]) == ("Micro F1", 1.0)
    assert by_name["upper_case"]["flipped"]["value"] == 1.0
    assert by_name["upper_case"]["difference"]["high"] < 0
    assert by_name["upper_case"]["failures"][0]["after"] == "[0]"
    assert by_name["suffix"]["flipped"]["value"] == 0
    assert result["expectations"] == []


def test_changes_of_numbers_are_measured_in_their_units():
    texts, _, places = reviews()
    model = several("mae", "number", lengths, width=250.0)
    result = robustness.section(model, alone(texts), places, lengths(texts)["prediction"], LISTS)
    assert faults(REPORT["evaluation"]["robustness"], result) == []
    by_name = {item["name"]: item for item in result["invariance"]}
    assert (result["better"], result["half_width"]) == ("lower", 250.0)
    assert by_name["no_punctuation"]["moved"]["value"] == 0
    assert by_name["upper_case"]["moved"]["value"] == 1000
    assert by_name["upper_case"]["flipped"]["value"] == 1.0
    assert by_name["upper_case"]["difference"]["low"] > 0
    added = by_name["suffix"]
    assert added["flipped"]["value"] == np.mean([100 * len(f.split()) > 250 for f in added_words(added, texts)])
    (section,) = checks.robustness(fill(REPORT, {"evaluation": {"robustness": result}})["evaluation"]["robustness"])
    assert len(section.blocks[0].columns) == len(section.blocks[0].rows[0]) == 5
    (statement,) = _fragile({"robustness": result})
    assert "increases the mean absolute error" in statement


def added_words(change, texts):
    """Return the sentences that were appended, from the seed of the change."""
    chance = random.Random(f"{change['name']} 0")
    (suffix,) = [item for item in perturbations(LISTS) if item.name == "suffix"]
    return [suffix.change(text, chance).removeprefix(text) for text in texts]


def test_a_planted_bias_is_found_for_several_classes_and_for_numbers():
    texts, _, places = reviews_of_people()
    for model, unit, label in (
        (several("micro_f1", "probability", tags), 0.3, "woman"),
        (several("mae", "number", lengths, 250.0), 1000, None),
    ):
        result = bias.section(model, alone(texts), places, LISTS)
        assert faults(REPORT["evaluation"]["bias"], result) == []
        (gender,) = [item for item in result["studies"] if (item["category"], item["source"]) == ("gender", "data")]
        clear = [gap for gap in gender["gaps"] if gap["clear"]]
        assert [(gap["label"], gap["group"]) for gap in clear] == [(label, "female")]
        assert clear[0]["score"]["value"] == pytest.approx(unit)
        assert gender["flipped"]["value"] == 1.0
        assert {gender["failures"][0]["before"], gender["failures"][0]["after"]} == {
            str(model.predict([(text,)])["prediction"][0])
            for text in (gender["failures"][0]["text"], gender["failures"][0]["changed"])
        }


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("neg", "POS"), [-1, 1]),
        (("bad", "good"), None),
        (("neutral",), None),
        ((), None),
        (("neg", "neutral"), [-1, 0]),
    ],
)
def test_polarity_is_known_for_all_classes_or_not_at_all(labels, expected):
    assert polarity(SimpleNamespace(polarity={"neg": -0.5, "neutral": 0, "pos": 0.5}), labels) == expected
    assert polarity(SimpleNamespace(polarity=None), ("neg", "pos")) is None


def test_time_is_counted_after_the_warm_up(monkeypatch):
    ticks = iter(np.arange(0, 1000, 0.5))
    calls = []
    timed = cost.measure(lambda: calls.append(1), clock=lambda: float(next(ticks)))
    assert timed.seconds == [0.5] * 6  # three seconds are enough
    assert len(calls) == 6 + cost.WARM_UP


def test_energy_is_read_where_there_are_counters(monkeypatch, tmp_path):
    monkeypatch.setattr(energy, "_RAPL", tmp_path)
    assert energy.meter("cpu").name == "not measured: this machine has no readable energy counter"
    assert cost.measure(lambda: None, energy.meter("cpu").read).joules is None
    counter = tmp_path / "intel-rapl:0" / "energy_uj"
    counter.parent.mkdir()
    counter.write_text("1000000", encoding="ascii")
    passes = []

    def work():
        passes.append(1)
        counter.write_text(str(1_000_000 + 500_000 * len(passes)), encoding="ascii")

    assert energy.meter("cpu").name == "package counters (RAPL)"
    assert cost.measure(work, energy.meter("cpu").read).joules == pytest.approx(0.5 * cost.REPEATS)


def test_a_gpus_own_counter_is_read(monkeypatch):
    import torch

    nvml = ModuleType("pynvml")
    nvml.NVMLError = RuntimeError
    nvml.nvmlInit = lambda: None
    nvml.nvmlDeviceGetHandleByUUID = {"GPU-7": "gpu"}.__getitem__
    nvml.nvmlDeviceGetTotalEnergyConsumption = {"gpu": 2500}.__getitem__
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: SimpleNamespace(uuid=7))
    result = energy.meter("cuda")
    assert (result.name, result.read()) == ("the GPU's counter (NVML)", [2.5])

    def refuse():
        raise RuntimeError("Not Supported")

    monkeypatch.setattr(nvml, "nvmlInit", refuse)
    name = energy.meter("cuda").name
    assert name.startswith("not measured")
    assert name.endswith("(Not Supported)")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "nvidia-ml-py" in energy.meter("cuda").name


def test_the_section_on_cost_covers_short_and_long_batches(tmp_path):
    from toolkit.data.batching.batch import Features, Ragged

    (tmp_path / "model.safetensors").write_bytes(b"12345")
    calls = []
    lengths = np.arange(1, 21)
    ids = Ragged(np.zeros(lengths.sum(), np.int32), np.concatenate([[0], np.cumsum(lengths)]))
    features = Features({"input_ids": ids}, lengths)
    result = cost.section(lambda rows: calls.append(tuple(rows)), features, tmp_path, "cpu", 2)
    assert faults(REPORT["evaluation"]["cost"], result) == []
    assert [(row["batch_size"], row["length"]) for row in result["timings"]] == [
        *((1, 2), (8, 8), (1, 10), (8, 10), (1, 20), (8, 20))
    ]
    assert result["bytes_on_disk"] == 5
    assert max(map(len, calls)) == 8
    for row in result["timings"]:
        assert 0 <= row["p50_ms"] <= row["p99_ms"]


def entails(examples, *, minds_case=False, minds=None):
    """Find each word of the second text in the first: that is 1; `minds` is a word of the second that prevents it."""
    predictions = []
    for first, second in examples:
        texts = (first, second) if minds_case else (first.lower(), second.lower())
        known, asked = (set(text.replace(".", " ").split()) for text in texts)
        predictions.append(int(asked <= known and minds not in asked))
    return {"prediction": predictions, "probabilities": [[0.1, 0.9] if p else [0.9, 0.1] for p in predictions]}


def pairs(size=80):
    draw = random.Random(1)
    texts, truth = [], []
    for _ in range(size):
        words = [draw.choice(["fine", "good", "dull", "bad"]), draw.choice(["story", "garden", "letter"])]
        known = f"He saw a {words[0]} {words[1]} today."
        truth.append(draw.randint(0, 1))
        texts.append((known, f"He saw a {words[1]}." if truth[-1] else "He saw a planet."))
    return texts, truth, [("f.csv", number + 2) for number in range(size)]


def pair_model(**faults_):
    labels = ("other", "entailment")
    return CounterfactualModel(lambda examples: entails(examples, **faults_), labels, None, 0.95, 200, 0)


def test_pairs_change_in_one_text_and_in_both():
    texts, truth, places = pairs()
    result = robustness.section(pair_model(minds_case=True), texts, places, truth, LISTS)
    assert faults(REPORT["evaluation"]["robustness"], result) == []
    by_name = {item["name"]: item for item in result["invariance"]}
    assert (result["kind"], len(by_name), result["accuracy"], result["expectations"]) == ("pair", 20, 1, [])
    assert by_name["upper_case_first"]["difference"]["high"] < -0.2  # the words are no longer the same
    assert by_name["upper_case_second"]["difference"]["high"] < -0.2
    assert by_name["upper_case_both"]["flipped"]["value"] == 0
    assert by_name["prefix_both"]["flipped"]["value"] == 0  # the same sentence in both
    failure = by_name["upper_case_first"]["failures"][0]
    first, second = failure["text"].split(" ⏎ ")
    assert failure["changed"] == f"{first.upper()} ⏎ {second}"
    (section,) = checks.robustness(fill(REPORT, {"evaluation": {"robustness": result}})["evaluation"]["robustness"])
    assert "pair" in section.lead


def test_people_are_swapped_alike_in_both_texts():
    texts, _, places = pairs()
    fair = bias.section(pair_model(), texts, places, LISTS)
    unfair = bias.section(pair_model(minds="she"), texts, places, LISTS)
    for result in (fair, unfair):
        assert faults(REPORT["evaluation"]["bias"], result) == []
        assert {(study["category"], study["source"]) for study in result["studies"]} == {("gender", "data")}
    assert fair["studies"][0]["flipped"]["value"] == 0
    assert unfair["studies"][0]["flipped"]["low"] > 0.2
    failure = unfair["studies"][0]["failures"][0]
    assert {failure[key].lower().count("she ") for key in ("text", "changed")} == {0, 2}  # in both texts or in none
