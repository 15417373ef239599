"""Faults of translations are counted, compared with their references."""

import pyarrow as pa
import pytest

from tests.support.errors import refused
from toolkit.config.settings import EvaluationConfig
from toolkit.errors import DataError, SourceError
from toolkit.evaluation.checks.generation_quality import read_glossary, section
from toolkit.report.document.schema import REPORT, faults

SOURCES = ["Save {0} files", "It costs 1,000 euros", "The cat sat on the mat", "The dog", "A long story about a cat"]
REFERENCES = [
    "{0} Dateien sichern",
    "Es kostet 1.000 Euro",
    "Die Katze saß auf der Matte",
    "Der Hund",
    "Eine lange Geschichte",
]


def judged(said, **values):
    rows = pa.table({"source": SOURCES, "_file": ["in.tsv"] * 5, "_row": list(range(2, 7))})
    columns = {"prediction": said, "cut": [False] * 4 + [True]}
    result = section(SOURCES, columns, REFERENCES, rows, ("chrf", "bleu"), EvaluationConfig(**values))
    assert faults(REPORT["evaluation"]["writing"], result) == []
    return result


def failed(found):
    return {check["name"]: round(check["failed"]["value"] * check["tried"]) for check in found["checks"]}


def test_perfect_translations_fail_nowhere():
    result = judged(REFERENCES)
    assert set(failed(result).values()) == {0, 1}
    assert failed(result)["cut"] == 1
    assert all(not check["references_failed"] for check in result["checks"])


@pytest.mark.parametrize(
    ("row", "said", "check"),
    [
        (0, "Dateien sichern", "markup"),
        (1, "Es kostet Euro", "numbers"),
        (2, "The cat sat on the mat", "untranslated"),
        (2, "der der der der Katze", "repetition"),
        (2, "Katze", "short"),
        (3, "Der Hund und noch vieles mehr, das nirgends stand", "long"),
        (3, "", "empty"),
    ],
)
def test_each_fault_is_counted(row, said, check):
    result = judged([said if number == row else text for number, text in enumerate(REFERENCES)])
    assert failed(result)[check] == 1
    (failure,) = next(item for item in result["checks"] if item["name"] == check)["failures"]
    assert (failure["file"], failure["row"], failure["written"]) == ("in.tsv", row + 2, said)


def test_the_worst_come_first():
    worst = judged([*REFERENCES[:3], "xyz", REFERENCES[4]])["worst"]
    assert worst[0]["written"] == "xyz"
    assert worst[0]["score"] < worst[1]["score"]


def test_a_glossary(write):
    path = write("terms.csv", "source,target\ncat,Katze\ndog,Hund\nhorse,Pferd\n")
    result = judged([*REFERENCES[:3], "Der Köter", "Eine Geschichte"], glossary=str(path))["glossary"]
    assert result["kept"]["value"] == pytest.approx(1 / 3)
    assert result["references_kept"] == pytest.approx(2 / 3)
    assert result["terms"][0] == {"term": "dog", "translation": "Hund", "tried": 1, "kept": 0.0}
    assert result["terms"][-1] == {"term": "horse", "translation": "Pferd", "tried": 0, "kept": None}
    assert read_glossary(write("terms.tsv", "cat\tKatze\n")) == [("cat", "Katze")]
    with refused(DataError, "data.no-rows", "empty.csv"):
        read_glossary(write("empty.csv", "source,target\n"))
    with refused(SourceError, "source.file-missing", "absent.csv", "--glossary"):
        read_glossary(path.with_name("absent.csv"))


@pytest.mark.parametrize(("failing", "clear"), [(2, False), (30, True)])
def test_a_few_more_than_the_references_are_not_clearly_more(failing, clear):
    sources, references = ["Save it now"] * 48, ["Jetzt sichern"] * 48
    rows = pa.table({"source": sources, "_file": ["in.tsv"] * 48, "_row": list(range(48))})
    texts = ["" if row < failing else text for row, text in enumerate(references)]
    result = section(sources, {"prediction": texts}, references, rows, ("chrf", "bleu"), EvaluationConfig())
    (empty,) = [check for check in result["checks"] if check["name"] == "empty"]
    assert empty["clear"] is clear


def test_faults_share_the_level_of_their_claim():
    """Each fault's interval has an equal part of the error, so that all hold jointly."""
    said = ["der der der der", *REFERENCES[1:]]
    rows = pa.table({"source": SOURCES, "_file": ["in.tsv"] * 5, "_row": list(range(2, 7))})
    columns, settings = {"prediction": said, "cut": [False] * 5}, EvaluationConfig()
    usual = section(SOURCES, columns, REFERENCES, rows, ("chrf",), settings)
    strict = section(SOURCES, columns, REFERENCES, rows, ("chrf",), settings, claimed=0.99)
    number = len(usual["checks"])
    assert usual["failed_confidence"] == pytest.approx(1 - 0.05 / number)
    assert strict["failed_confidence"] == pytest.approx(1 - 0.01 / number)
    for wide, narrow in zip(strict["checks"], usual["checks"], strict=True):
        assert wide["failed"]["high"] - wide["failed"]["low"] > narrow["failed"]["high"] - narrow["failed"]["low"]
