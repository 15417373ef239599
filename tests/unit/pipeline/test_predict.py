"""What is counted while a file is answered."""

from toolkit.pipeline.predict import Tally


def test_texts_that_kept_their_placeholders_are_counted():
    tally = Tally("text")
    rows = [("plain", "schlicht"), ("%s files", "%s Dateien"), ("<b>now</b>", "jetzt"), ("{0}", None), (None, None)]
    tally.add([{"text": text, "prediction": said, "problem": said and None} for text, said in rows])
    found = tally.outcome(None)
    assert (found.rows, found.marked, found.kept) == (5, 2, 1)


def test_nothing_of_placeholders_is_said_where_answers_are_no_texts():
    tally = Tally()
    tally.add([{"text": "%s", "prediction": "positive", "problem": None}])
    assert tally.outcome(None).marked is None
