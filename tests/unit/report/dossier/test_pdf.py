"""The technical documentation as PDF, read again by another library."""

import importlib.util
import json
from pathlib import Path

import pypdfium2
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

import toolkit
from tests.support.dossiers import make_run
from tests.support.errors import refused
from tests.support.reports import many_classes, sample
from toolkit.errors import ConfigError


def pages_of(file: Path) -> list[str]:
    document = pypdfium2.PdfDocument(file)
    return [page.get_textpage().get_text_range() for page in document]


def words_of(file: Path) -> str:
    return " ".join(" ".join(pages_of(file)).split())


def test_pdf_has_the_text_of_the_documentation(tmp_path: Path):
    report = json.loads(json.dumps(sample()).replace('"negative"', '"<b>schlecht</b> &amp; плохо"'))
    written = toolkit.dossier(make_run(tmp_path, report), pdf=True, progress=False)
    assert tuple(written.files) == ("dossier.md", "dossier.pdf")
    text = words_of(written.path / "dossier.pdf")
    assert written.summary in text
    assert "<b>schlecht</b> &amp; плохо" in text
    assert "83.9 % (81.8 to 86.0)" in text
    assert "report.json: evaluation.metrics[0]" in text
    assert "not legal advice" in text
    assert "U+" not in text


def test_equal_content_gives_equal_bytes(tmp_path: Path):
    run = make_run(tmp_path, sample())
    files = [toolkit.dossier(run, pdf=True, output=tmp_path / name, progress=False).path for name in ("a", "b")]
    assert (files[0] / "dossier.pdf").read_bytes() == (files[1] / "dossier.pdf").read_bytes()


def test_long_tables_continue_under_their_head(tmp_path: Path):
    written = toolkit.dossier(make_run(tmp_path, many_classes(120)), pdf=True, progress=False)
    pages = pages_of(written.path / "dossier.pdf")
    of_classes = [page for page in pages if "evaluation.per_class[" in page]
    assert len(of_classes) >= 3
    assert all("Precision" in page and "Recall" in page for page in of_classes)
    joined = "".join("".join(of_classes).split())  # long names are broken into lines
    assert all(f"card_payment_question_{number:02d}" in joined for number in range(120))


def test_characters_without_a_glyph_are_written_as_code_points_and_counted(tmp_path: Path):
    report = json.loads(json.dumps(sample(), ensure_ascii=False).replace('"negative"', '"中文 سيئ"'))
    text = words_of(toolkit.dossier(make_run(tmp_path, report), pdf=True, progress=False).path / "dossier.pdf")
    assert "[U+4E2D U+6587]" in text
    assert "[U+0633 U+064A U+0626]" in text
    assert "5 different characters are written as code points" in text


def font(file: Path, characters: str) -> Path:
    """Write a TrueType font in which each character is a box."""
    pen = TTGlyphPen(None)
    for point in ((0, 0), (0, 700), (500, 700), (500, 0)):
        (pen.moveTo if point == (0, 0) else pen.lineTo)(point)
    pen.closePath()
    names = [".notdef", *(f"uni{ord(character):04X}" for character in characters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(c): name for c, name in zip(characters, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (600, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Boxes", "styleName": "Regular", "psName": "Boxes-Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(file)
    return file


def test_fonts_of_the_user_draw_further_scripts(tmp_path: Path):
    report = json.loads(json.dumps(sample(), ensure_ascii=False).replace('"negative"', '"中文"'))
    run = make_run(tmp_path, report)
    further = font(tmp_path / "boxes.ttf", "中文")
    text = words_of(toolkit.dossier(run, pdf=True, font=[further], progress=False).path / "dossier.pdf")
    assert "中文" in text
    assert "U+4E2D" not in text


def test_a_file_that_is_no_font_is_refused(tmp_path: Path):
    run = make_run(tmp_path, sample())
    (tmp_path / "no.ttf").write_text("no font", encoding="utf-8")
    for name in ("no.ttf", "missing.ttf"):
        with refused(ConfigError, "dossier.font-unusable", name):
            toolkit.dossier(run, pdf=True, font=[tmp_path / name], progress=False)
    assert not (run / "dossier").exists()


def test_a_pdf_without_its_packages_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "reportlab" else find(name))
    run = make_run(tmp_path, sample())
    with refused(ConfigError, "machine.package-missing", "reportlab") as caught:
        toolkit.dossier(run, pdf=True, progress=False)
    assert "finetune-toolkit[dossier]" in caught.value.fix
    assert toolkit.dossier(run, progress=False).files == ("dossier.md",)
