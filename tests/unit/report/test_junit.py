"""The JUnit file has a test for each rule, whatever texts it holds."""

from xml.etree import ElementTree

from tests.support.reports import comparison, with_text
from toolkit.report.junit import to_junit
from toolkit.report.pages.render import to_html, to_markdown
from toolkit.report.pages.terminal import comparison_to_text


def test_rules_that_are_not_passed_are_failures() -> None:
    suite = ElementTree.fromstring(to_junit(comparison()).encode())
    assert (suite.get("tests"), suite.get("failures")) == ("4", "3")
    failures = {case.get("classname"): [part.get("type") for part in case] for case in suite}
    assert failures == {
        "gate.metric": ["failed"],
        "gate.slices": ["not enough rows"],
        "gate.size": [],
        "gate.bias": ["not measured"],
    }


def test_control_characters_and_markup_are_kept_out() -> None:
    suite = ElementTree.fromstring(to_junit(with_text(comparison(), "]]><\x00\ud800&")).encode())
    assert len(suite) == 4


def test_every_page_has_the_rules() -> None:
    for text in (comparison_to_text(comparison()), to_html(comparison()), to_markdown(comparison())):
        assert all(fact in text for fact in ("Accuracy in slices", "not enough rows", "1.25", "2,000"))
