"""The report's pages: data are escaped, and missing values do not break a page."""

import copy
import math
import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.support.reports import comparison, findings, many_classes, sample, with_text
from toolkit.report import formats
from toolkit.report.pages import render
from toolkit.report.plots import geometry
from toolkit.report.sections import findings as sections_findings

VOID = {"meta", "br", "img", "input", "link", "hr"}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title><b>bold</b>",
    "a | b\n| --- | --- |\n| c | d |",
    "# a heading\n\n- a list\n\n> a quotation\n\n---\n===",
    "- not a list",
    "1. not a list",
    "---",
    "``` \nfence\n```` **strong** _em_ ~~gone~~ $x$",
    "[link](https://example.org) ![image](x.png) <https://example.org> https://example.org www.example.org",
    "\\| \\< &lt;script&gt; &amp; {{ 7 * 7 }} {% raw %}",
    "\x00\x1b[31m\ud800\u202etxt.exe",
]


class Page(HTMLParser):
    """A page's tags, attributes and text; the tags must close in the order in which they were opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def shape(self) -> list[object]:
        """What must not depend on the data's texts: the tags, but for parts in backticks, and their attributes."""
        return [[tag for tag in self.tags if tag != "code"], [(tag, name) for tag, name, _ in self.attributes]]

    def text(self) -> str:
        return "".join(self.texts)


def markdown_shape(markdown: str) -> list[str]:
    """The kinds of all blocks and spans, as GitHub's dialect has them; plain texts, code and breaks left out."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)
    kinds = [kind for token in tokens for kind in (token, *(token.children or ()))]
    return [kind.type for kind in kinds if kind.type not in ("text", "inline", "text_special", "code_inline")]


def spoiled(text: str) -> dict[str, Any]:
    """A report with `text` in the place of every text of the user."""
    report = sample()
    report["title"] = report["command"] = text
    report["model"] |= {"name": text, "origin": text, "architecture": text}
    report["verdict"] = {"headline": text, "statements": [text, text], "warnings": [text]}
    labels = [text, "other"]
    report["evaluation"]["labels"] = report["evaluation"]["confusion"]["labels"] = labels
    report["evaluation"]["split"] = report["evaluation"]["per_class"][0]["label"] = text
    report["evaluation"]["metrics"][0]["title"] = text
    for error in report["evaluation"]["errors"]:
        error |= {"file": text, "text": text, "label": text, "prediction": text}
    report["evaluation"] |= with_text(findings(), text)
    report["baselines"][0]["title"] = text
    report["data"] |= {"source": text, "origin": text, "fingerprint": text, "notes": [text]}
    for split in report["data"]["splits"]:
        split |= {"name": text, "classes": {text: 3, "a class": 4}}
    report["environment"] = {text: text}
    report["config"] = {"key": text, "a key": [text]}
    return report


def spoiled_comparison(text: str) -> dict[str, Any]:
    """A comparison with `text` in the place of every text of the user."""
    return with_text(comparison(), text)


def anything(value: Any) -> st.SearchStrategy[Any]:
    """Values that a broken writer might put in the place of a good one."""
    return st.sampled_from([None, math.nan, math.inf, -math.inf, "", "text", [], {}, 0, -1, 1e300, True, [None], value])


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every part of a nested value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    return [path, *(way for key, part in inner for way in paths(part, (*path, key)))][0 if path else 1 :]


def replaced(report: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The report with another value at the path."""
    report = copy.deepcopy(report)
    part: Any = report
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return report


def test_the_page_says_what_the_report_says() -> None:
    page = Page(render.to_html(sample()))
    text = page.text().replace("\u00a0", " ")
    for part in (
        "Accuracy 83.9 % on 1,280 examples it never saw (95 % interval 81.8 to 85.8).",
        "12 of 1,280 test texts were truncated to 128 tokens.",
        "0.637 to 0.719",
        "+7.9 points",
        "TF-IDF + logistic regression",
        "22,713,986",
        "90.9 MB",
        "2 min 10 s",
        "best: step 280",
        "reviews/test.csv:812",
        "confidence 99.4 %",
        "1 January 2026, 12:00 UTC",
        "sha256:9f2b6a0d",
        "toolkit finetune sentiment --model minilm",
        "2.13.0+cpu",
        "learning_rate: 0.0001",
    ):
        assert part in text, part
    assert [tag for tag in page.tags if tag in ("h1", "h2", "main", "nav", "header", "footer")] == [
        *("header", "h1", "main", "h2", "nav", *["h2"] * 19, "footer")
    ]
    scopes = [value for tag, name, value in page.attributes if (tag, name) == ("th", "scope")]
    assert len(scopes) == page.tags.count("th")


def test_figures_that_are_undefined_are_dashes() -> None:
    report = sample()
    report["evaluation"]["per_class"][0]["precision"] = {"value": None, "low": None, "high": None}
    (line,) = (line for line in render.to_markdown(report).splitlines() if line.startswith("| negative | 640 |"))
    assert line.split("|")[3].strip() == "–"
    row = render.to_html(report).partition('<th scope="row"><bdi>negative</bdi></th>')[2].partition("</tr>")[0]
    assert "<b>–</b>" in row


def test_operating_points_say_what_they_rest_on() -> None:
    markdown = render.to_markdown(sample())
    assert "128 positive and 130 negative validation rows" in markdown
    assert "| sensitivity=0.95 | 0.210 | 95.3 % (90.2 to 97.8) |" in markdown
    assert markdown.count("target missed") == 1


def test_a_temperature_that_is_not_kept_says_why() -> None:
    report = sample()
    result = report["evaluation"]["calibration"]
    fit = {**result["fit"], "kept": False, "reason": "in cross-validation it does not lower the log loss significantly"}
    report["evaluation"]["calibration"] = {**result, "temperature": None, "scaled": None, "fit": fit}
    markdown = render.to_markdown(report)
    assert "No temperature is stored with the model: 258 validation rows" in markdown
    assert "in cross-validation it does not lower the log loss significantly" in markdown
    assert "At temperature" not in markdown


def test_pictures_of_mistakes_are_shown_if_they_are_the_toolkits_own() -> None:
    report = sample()
    report["evaluation"]["errors"][0]["picture"] = "data:image/png;base64,AAAA"
    report["evaluation"]["errors"][1]["picture"] = "https://example.org/tracker.png"
    html = render.to_html(report)
    assert '<img src="data:image/png;base64,AAAA"' in html
    assert "tracker.png" not in html


def test_the_markdown_says_what_the_report_says() -> None:
    markdown = render.to_markdown(sample())
    assert markdown.startswith("# Sentiment with minilm\n\n**Accuracy 83.9 % on 1,280")
    assert "| Accuracy | 83.9 % (81.8 to 86.0) | 76.0 % (73.9 to 78.1) | 50.0 % (47.3 to 52.7) |" in markdown
    assert "| negative | 550 (85.9 %) | 90 (14.1 %) |" in markdown
    assert "```sh\ntoolkit finetune sentiment" in markdown
    assert markdown_shape(markdown).count("table_open") == 20
    assert "begs to be loved" not in markdown  # single examples are not for a model card


@cache
def plain_shapes(spoil: Callable[[str], dict[str, Any]]) -> tuple[Any, Any]:
    """Return the shapes of both pages with a harmless text."""
    plain = spoil("plain")
    return Page(render.to_html(plain)).shape(), markdown_shape(render.to_markdown(plain))


@pytest.mark.parametrize(("spoil", "times"), [(spoiled, 20), (spoiled_comparison, 8)], ids=["report", "comparison"])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_text(text: str, spoil: Callable[[str], dict[str, Any]], times: int) -> None:
    page = Page(render.to_html(spoil(text)))
    assert (page.shape(), markdown_shape(render.to_markdown(spoil(text)))) == plain_shapes(spoil)
    if text.isprintable():
        assert page.text().count(text) >= times


@pytest.mark.parametrize("spoil", [spoiled, spoiled_comparison])
@settings(max_examples=40, deadline=None)
@given(
    text=st.text(alphabet=st.one_of(st.sampled_from("<>&\"'`|\\\n#-+*_=[]()!~:.$ \tah1"), st.characters()), min_size=1)
)
@example(text="[a]: https://example.org")
@example(text="=")
def test_no_text_ever_becomes_markup(spoil: Callable[[str], dict[str, Any]], text: str) -> None:
    text += "x" if not text.split() else ""
    html, markdown = render.to_html(spoil(text)), render.to_markdown(spoil(text))
    assert (Page(html).shape(), markdown_shape(markdown)) == plain_shapes(spoil)
    html.encode()
    markdown.encode()


def test_names_of_packaged_models_stay_as_they_are() -> None:
    assert formats.escape_markdown("Sentiment with pkg://package/model") == "Sentiment with pkg://package/model"


def test_the_rules_of_automatic_values_are_shown() -> None:
    rules = {"training.learning_rate": "from the model", "training.epochs": "from 974 training rows"}
    report = sample() | {"config": {"training": {"epochs": 4.0}}}
    report["training"] |= {"automatic": rules, "few_labels": None}
    assert "Epochs planned: 4 (from 974 training rows)" in render.to_markdown(report)
    for config in ({}, {"training": "?"}):
        text = render.to_markdown(report | {"config": config})
        assert "(from the model)" in text
        assert "Epochs planned" not in text


def test_what_stands_in_backticks_is_code() -> None:
    text = "Set `a_b=<1>` with *care*, ``not`` `this"
    assert str(formats.code_html(text)) == "Set <code>a_b=&lt;1&gt;</code> with *care*, ``not`` `this"
    assert str(formats.code_markdown(text)) == "Set `a_b=<1>` with \\*care\\*, \\`\\`not\\`\\` \\`this"
    report = sample() | {"advice": [{"id": "x", "evidence": "Because `e`.", "advice": "Do `f_g`.", "command": "h"}]}
    report["verdict"]["warnings"] = ["Use `i_j`."]
    html, markdown = render.to_html(report), render.to_markdown(report)
    for part in ("e", "f_g", "i_j"):
        assert f"<code>{part}</code>" in html
        assert f"`{part}`" in markdown


def test_bare_addresses_are_not_linked() -> None:
    assert formats.escape_markdown("see https://example.org or www.example.org") == (
        "see https\\://example.org or www\\.example.org"
    )


@pytest.mark.parametrize("report", [sample(), many_classes(), comparison()], ids=["two", "many", "comparison"])
def test_nothing_is_fetched(report: dict[str, Any]) -> None:
    html = render.to_html(report)
    page = Page(html)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for tag, name, value in page.attributes:
        assert name not in ("src", "srcset", "action", "formaction", "poster", "data", "background", "xlink:href")
        assert not name.startswith("on")
        if name in ("href", "aria-labelledby"):
            assert value.removeprefix("#") in ids, (tag, value)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "img"} & set(page.tags)
    assert not re.search(r"url\(|@import|expression\(", html)
    policy = [value for tag, name, value in page.attributes if tag == "meta" and value.startswith("default-src")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


@pytest.mark.parametrize(
    "report", [{}, {"schema_version": 1}, dict.fromkeys(sample()), {"evaluation": {"metrics": []}}]
)
def test_an_empty_report_is_an_empty_page(report: dict[str, Any]) -> None:
    page = Page(render.to_html(report))
    assert not {"section", "table", "figure", "nav"} & set(page.tags)
    assert render.to_markdown(report) == "# Report\n"


@pytest.mark.parametrize(("report", "least"), [(sample(), 200), (comparison(), 60)], ids=["report", "comparison"])
def test_every_part_may_be_missing(report: dict[str, Any], least: int) -> None:
    ways = paths(report)
    assert len(ways) > least
    for index, way in enumerate(ways):
        broken = replaced(report, way, (None, math.nan)[index % 2])
        html, markdown = render.to_html(broken), render.to_markdown(broken)
        text = Page(html).text() + markdown
        assert not re.search(r"\b(None|nan|NaN|Undefined)\b", text), way


@pytest.mark.parametrize("whole", [sample, comparison])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_value_breaks_a_page(whole: Callable[[], dict[str, Any]], data: st.DataObject) -> None:
    report = whole()
    for way in data.draw(st.lists(st.sampled_from(paths(report)), max_size=4)):
        try:
            report = replaced(report, way, data.draw(anything(1)))
        except (KeyError, IndexError, TypeError):  # a part that an earlier replacement removed
            continue
    Page(render.to_html(report))
    render.to_markdown(report)


def test_numpy_values_are_numbers() -> None:
    report = sample()
    report["evaluation"]["rows"] = np.int64(1280)
    report["evaluation"]["metrics"][0]["value"] = np.float32(0.75)
    report["evaluation"]["confusion"]["matrix"] = np.array([[1, 2], [3, 4]])
    report["training"]["seed"] = Path("seven")
    text = Page(render.to_html(report)).text()
    assert "75.0 %" in text
    assert "57.1 %" in text  # 4 of 3 + 4
    assert "seven" not in text


def test_many_classes_stay_readable() -> None:
    page = Page(render.to_html(many_classes()))
    text = page.text()
    assert "The most frequent confusions among 77 classes." in text
    assert text.count("predicted as card_") == 15
    assert "card_payment_question_08 predicted as card_payment_question_57" in text
    assert "77 classes, 20 to 96 rows each" in text
    assert text.index("card_payment_question_10") < text.index("card_payment_question_00")  # the weakest first
    markdown = render.to_markdown(many_classes() | {"advice": []})
    assert "The 12 weakest of 77 classes." in markdown
    assert len(markdown) < 13_500
    perfect = many_classes()
    perfect["evaluation"]["confusion"]["matrix"] = np.eye(77)
    assert "No class is confused with another among 77 classes." in Page(render.to_html(perfect)).text()


def test_one_class_and_a_class_without_examples() -> None:
    report = sample()
    report["evaluation"]["confusion"] = {"labels": ["only"], "matrix": [[7]]}
    assert "100.0 %" in Page(render.to_html(report)).text()
    report["evaluation"]["confusion"] = {"labels": ["a", "b"], "matrix": [[7, 0], [0, 0]]}
    Page(render.to_html(report))
    report["evaluation"]["confusion"]["matrix"] = [[7, 0]]  # not square: no layout
    assert "Confusion matrix" not in render.to_html(report) + render.to_markdown(report)


def test_long_texts_are_clipped_and_run_their_own_way() -> None:
    page = Page(render.to_html(sample()))
    assert max(len(text) for text in page.texts if "goes on and on" in text) == 401
    assert ("blockquote", "dir", "auto") in page.attributes


def test_a_difference_that_spans_zero_is_called_chance() -> None:
    report = sample()
    assert "not significant" not in render.to_html(report)
    report["baselines"][0]["difference"]["low"] = -0.001
    assert render.to_html(report).count("not significant") == 1


def test_no_picture_without_something_to_compare() -> None:
    report = sample()
    report["baselines"] = []
    assert 'class="forest"' not in render.to_html(report)
    assert "83.9 %" in render.to_html(report)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read_in_both_modes(mode: str) -> None:
    css = (Path(render.__file__).parents[1] / "templates" / "report.css").read_text(encoding="utf-8")
    block = css.split(":root {")[1 if mode == "light" else 2].split("}")[0]
    colours = {
        name: tuple(int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
        for name, digits in re.findall(r"--([\w-]+): #(\w{6})\w{0,2};", block)
    }
    assert len(colours) == 12
    pairs = [(colours[text], colours["paper"]) for text in ("ink", "muted", "model", "other", "alert")]
    for shade in ("hit", "miss", "far-miss"):
        for share in (0, 0.25, 0.5, 0.75, 1):
            mixed = tuple(share * s + (1 - share) * r for s, r in zip(colours[shade], colours["raised"], strict=True))
            pairs.append((colours["ink"], mixed))
    assert min(contrast(*pair) for pair in pairs) >= 4.5


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Contrast ratio of two sRGB colours (WCAG 2.2, "contrast ratio")."""

    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_numbers_read_well() -> None:
    assert [formats.count(n) for n in (1280, 92.1, None, 22713986)] == ["1,280", "92.1", "–", "22,713,986"]
    assert [formats.duration(s) for s in (8.44, 59.96, 130.2, 3599.9, 3840)] == [
        *("8.4 s", "1 min 0 s", "2 min 10 s", "1 h 0 min", "1 h 4 min")
    ]
    assert [formats.size(n) for n in (12, 90867000, 2.5e9)] == ["12 bytes", "90.9 MB", "2.5 GB"]
    assert formats.measure(0.839, "fraction") == "83.9 %"
    assert formats.measure(-0.021, "fraction", signed=True) == "−2.1 points"
    assert formats.measure(-0.0312, "score") == "−0.031"
    assert formats.interval(-0.1, 0.25, "fraction", signed=True) == "−10.0 to +25.0"
    assert formats.date("2026-03-05T23:30:00+01:00") == "5 March 2026, 22:30 UTC"
    assert formats.date("yesterday") == "yesterday"
    assert formats.fenced("a ```` b").splitlines() == ["`````", "a ```` b", "`````"]


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_cover_what_is_drawn(low: float, width: float) -> None:
    ticks = geometry.nice_ticks(low, low + width)
    room = 1e-6 * (abs(low) + width)
    assert ticks[0] <= low + room
    assert ticks[-1] >= low + width - room
    assert 2 <= len(ticks) <= 8


def test_whiskers_stand_where_their_values_are() -> None:
    plot = geometry.intervals([(0.8, 0.7, 0.9), (0.5, None, None)], percent=True)
    assert plot is not None
    assert [tick.text for tick in plot.ticks] == ["50 %", "60 %", "70 %", "80 %", "90 %"]
    assert plot.whiskers == [geometry.Whisker(50, 75, 100), geometry.Whisker(0, 0, 0)]
    full = geometry.intervals([(1.0, 0.99, 1.0)], percent=True)
    assert full is not None
    assert full.ticks[-1].text.startswith("100")
    assert geometry.intervals([], percent=True) is None


def test_the_curve_keeps_its_level() -> None:
    assert geometry.moving_average([3.0] * 100) == pytest.approx([3.0] * 100)
    noisy = [1 + 0.5 * (-1) ** step for step in range(200)]
    assert np.std(geometry.moving_average(noisy)[20:]) < 0.1
    assert geometry.thin([(float(x), 2.0) for x in range(1000)], limit=10)[0] == (49.5, 2.0)
    plot = geometry.curve([(0, 1.0), (10, 0.5)], [(5, 0.75), (10, 0.7)], best_step=5)
    assert plot is not None
    assert plot.best == 50
    assert plot.raw == "M0 0 L100 83.33"  # the axis runs from 0.4 to 1
    assert plot.dots[0] == (50, 41.67)
    assert plot.learned == ""
    both = geometry.curve([], [(5, 0.75), (10, 0.7)], 10, learned=[(5, 0.6), (10, 0.4)])
    assert both is not None
    assert both.learned == "M50 50 L100 100"  # the axis runs from 0.4 to 0.8
    assert geometry.curve([(1, 1.0)], [], None) is None


def test_groups_are_named_by_what_they_were_formed_by():
    result = {**sample()["evaluation"]["slices"], "unit": "", "claims_confidence": 0.95}
    (section,) = sections_findings.groups(result)
    assert "examined: by length, by class, by the words in them. " in section.lead
    pictures = {**result, "looked_at": 1, "groups": [item for item in result["groups"] if item["by"] == "class"]}
    (section,) = sections_findings.groups(pictures)
    assert "examined: by class. " in section.lead
    assert section.blocks[-1].title == "By class"
    (section,) = sections_findings.groups({**result, "unit": "entities"})
    assert "examined: by length, by type, by the words in them. " in section.lead
    assert section.blocks[-1].columns[2] == "Entities"


def test_pages_count_entities_where_words_have_labels():
    report = sample()
    evaluation = report["evaluation"]
    counts = {"labels": ["LOC", "no entity"], "matrix": [[3, 1], [2, 0]]}
    error = {"file": "a.conll", "row": 3, "text": "in [Rome]", "label": "LOC “Rome”", "prediction": "no entity"}
    per_class = [{**evaluation["per_class"][0], "label": "LOC"}]
    errors = [{**error, "kind": "missed", "confidence": 0.9}]
    evaluation |= {"unit": "entities", "confusion": counts, "per_class": per_class, "errors": errors}
    evaluation["calibration"] |= {"unit": "entities"}
    page, markdown = render.to_html(report), render.to_markdown(report)
    assert "Metrics by type" in page
    assert "Metrics by class" not in page
    assert "<span><bdi>missed</bdi></span>" in page
    assert "Of the predicted entities: mean confidence" in page
    assert "| Type | Entities |" in markdown
