"""The page of a trace, and the attention maps of pages."""

import base64
import hashlib
import json
import re

import numpy as np

from tests.support import models
from toolkit.attention.walk import walk
from toolkit.report.pages.attention import walkthrough
from toolkit.report.plots import attention_maps


def page(text="The cat sat on the mat"):
    model, _ = models.make("bert")
    seen = walk(model.base_model, models.tokenizer(), text, layer=2, head=4)
    return seen, walkthrough.to_html(seen, "a/model", text)


def data(html):
    return json.loads(re.search(r'id="attention-data">(.*?)</script>', html, re.DOTALL)[1])


def test_the_page_carries_every_map():
    seen, html = page()
    (entry,) = data(html)
    levels = np.frombuffer(base64.b64decode(entry["data"]), np.uint8).reshape(entry["shape"])
    assert levels.shape == seen.weights.shape == (2, 4, 8, 8)
    np.testing.assert_allclose(levels / 255, seen.weights, atol=1 / 255)
    assert 'data-layer="1" data-head="4"' in html


def test_the_policy_allows_the_one_script_by_its_hash():
    _, html = page()
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html


def test_hostile_text_stays_text():
    _, html = page("</script><script>alert(1)</script> <b>cat</b> & <!--")
    assert html.count("<script") == 2
    assert "&lt;b&gt;cat" in html
    assert "<b>cat" not in html
    assert "alert(1)</script>" not in html
    assert data(html)[0]["title"] == "</script><script>alert(1)</script> <b>cat</b> & <!--"


def test_too_many_maps_are_averaged(monkeypatch):
    many = np.random.default_rng(0).random((2, 4, 3, 3))
    assert attention_maps.fit([many])[0] is many
    monkeypatch.setattr(attention_maps, "MOST_BYTES", 10)
    np.testing.assert_allclose(attention_maps.fit([many])[0], many.mean(axis=1, keepdims=True))


def test_numbers():
    assert walkthrough.number(101.0, "ids") == "101"
    assert walkthrough.number(-1.005, "numbers") == "−1.00"
