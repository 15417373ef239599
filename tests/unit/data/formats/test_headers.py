"""A first line of data is distinguished from names."""

import pytest

from toolkit.data.formats.headers import likely_names, looks_like_data


@pytest.mark.parametrize(
    ("lines", "data"),
    [
        (["text,label", "a film,good", "another,bad"], False),
        (["a film,good", "another,bad", "third,good"], True),
        (["17,a film,x", "3,another,y"], True),
        (["id,a film", "3,another"], False),
        (["country,2019,2020", "France,1,2"], True),
        (["id,country,2019", "1,France,1"], False),
        (["a film that never finds its way home,x", "another,y"], True),
        (["body,opinion", "a film,good", "body,opinion", "another,bad"], False),
        (["body,opinion"], False),
    ],
)
def test_first_lines(lines, data):
    names, *rows = (line.split(",") for line in lines)
    assert looks_like_data(names, rows) == data


def test_likely_names_go_by_the_longest_column_and_that_with_few_values():
    rows = [("0", "17", "NO_QUERY", f"a film of some length {n}") for n in range(9)] + [("4", "18", "NO_QUERY", "bad")]
    assert likely_names(rows[0], rows[1:]) == ["label", "column_2", "column_3", "text"]
    assert likely_names(["text", "label"], [("a film", "good"), ("another", "bad")]) == []
    assert likely_names(["1", "2"], [(str(n), str(n + 1)) for n in range(2, 9)]) == ["text", "column_2"]
