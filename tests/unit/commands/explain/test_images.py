"""Which pictures of a folder are explained."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.support import pictures
from tests.support.errors import refused
from toolkit.commands.explain import images
from toolkit.commands.explain.images import read_pictures
from toolkit.config import RunConfig
from toolkit.errors import DataError
from toolkit.explanation.attributions import Explanation
from toolkit.explanation.patches import Picture
from toolkit.tasks import loading

SUBJECT = SimpleNamespace(recipe=loading.load("image"), config=RunConfig(recipe="image"))


def test_non_pictures_in_a_folder_are_left_out(tmp_path):
    pictures.folder(tmp_path, 2)
    (tmp_path / "notes.txt").write_text("not a picture", encoding="utf-8")
    (tmp_path / "dark" / "000.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = read_pictures(tmp_path, SUBJECT)
    assert [item["path"].rpartition("/")[2] for item in result] == ["001.png", "000.png", "001.png"]
    with refused(DataError, "image.none-found", "empty"):
        (tmp_path / "empty").mkdir()
        read_pictures(tmp_path / "empty", SUBJECT)


def test_a_folder_with_a_table_is_read_as_the_table(tmp_path):
    pictures.folder(tmp_path, 2)
    (tmp_path / "boxes.csv").write_text("file,box\nlight/001.png,1 2 3 4\n", encoding="utf-8")
    (result,) = read_pictures(tmp_path, SUBJECT)
    assert result["box"] == "1 2 3 4"
    assert result["path"] == str(tmp_path / "light" / "001.png")


def test_a_picture_with_several_explained_classes_has_one_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three pictures, the time allowed two; the first has two classes, and its box belongs to the most probable."""
    seen = [Picture(name, np.zeros((3, 8, 8)), (2, 2)) for name in "ab"]
    strongest = [(seen[0], 0), (seen[0], 3), (seen[1], 2)]
    explained = [Explanation(item, 0, {"relevance": np.eye(4)[place]}, {}, None) for item, place in strongest]
    boxes = [(0.0, 0.0, 0.5, 0.5), (0.0, 0.5, 0.5, 1.0), None]
    monkeypatch.setattr(images, "boxes_in_view", lambda _loaded, _rows: boxes)
    settings = SimpleNamespace(confidence=0.95, resamples=50)
    loaded = SimpleNamespace(config=SimpleNamespace(evaluation=settings, training=SimpleNamespace(seed=0)))
    result = images.evaluate_regions(loaded, [{}] * 3, explained, ["relevance"])
    assert result is not None
    assert (result["relevance"]["pictures"], result["relevance"]["pointing"]["value"]) == (2, 1)
