"""Placeholders, tags and numbers are found, and kept in every translation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.bitext.markup import keep_markup, markup, numbers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello %(name)s, %d of %s", ["%(name)s", "%d", "%s"]),
        ("%1$s and %2$05.1f", ["%1$s", "%2$05.1f"]),
        ("{} {0} {name!r} {x:>10} ${HOME}", ["{}", "{0}", "{name!r}", "{x:>10}", "${HOME}"]),
        ("{{ user.name }} {% trans %}", ["{{ user.name }}", "{% trans %}"]),
        ('<a href="x" title="y">b</a><br/>', ["a", "/a", "br"]),
        ("Fish &amp; chips &#38;", ["&amp;", "&#38;"]),
        ("see https://example.com/a?b=1.", ["https://example.com/a?b=1"]),
        ("File %1 of %2", ["%1", "%2"]),
        ("100 % of it, 5 %, a < b and c > d", []),
        ("50% discount & more", []),
        ("{ not one }", []),
    ],
)
def test_what_counts(text, found):
    assert sorted(markup(text).elements()) == sorted(found)


def test_numbers_whatever_their_grouping():
    assert numbers("1,000.5 in 2026") == numbers("1.000,5 im Jahr 2026") == {"10005": 1, "2026": 1}
    assert numbers("{0} and %2$s, 7") == {"7": 1}
    assert numbers("$15,000 for 2 000 of 12 or 1234 567") == numbers("15 000 $, 2000, 12, 1234, 567")


def shouted(texts):
    return [text.upper() for text in texts]


def test_lost_markup_is_restored():
    sources = ["Hello %(name)s, you have <b>{0}</b> points.", "Nothing here", "One\n\nTwo"]
    written = ["HELLO, YOU HAVE B 0 POINTS", "NICHTS", "ONE TWO"]
    kept = keep_markup(sources, written, shouted)
    assert kept == ["HELLO %(name)s, YOU HAVE <b>{0}</b> POINTS.", "NICHTS", "ONE\n\nTWO"]


def test_a_placeholder_that_no_program_can_fill_is_none():
    assert markup("% (count)s d'un % (n)d") != markup("%(count)s d'un %(n)d")
    assert markup("50 % (net)") == markup("50 %")
    (kept,) = keep_markup(["%(n)s of a kind"], ["%(n)s d'un % (n)s"], lambda texts: ["d'un % (n)s"] * len(texts))
    assert kept == "%(n)s d'un"


def test_intact_markup_is_unchanged():
    def never(texts):
        raise AssertionError(texts)

    assert keep_markup(["Save {0}"], ["{0} sichern"], never) == ["{0} sichern"]


PIECES = st.lists(
    st.sampled_from(["%s", "{0}", "<b>", "</b>", "a word", " ", "%(x)d", "\n", ".", "{{ y }}"]), max_size=8
)


@given(PIECES.map("".join), st.text(max_size=20))
def test_every_placeholder_survives_any_model(source, nonsense):
    (kept,) = keep_markup([source], [nonsense], lambda texts: [f"{{9}} {text} <i>" for text in texts])
    assert markup(kept) == markup(source)
