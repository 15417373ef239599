"""From a file to clean parts: omitted rows are noted, and errors name their place."""

import json
from dataclasses import replace

import datasets
import pytest
from huggingface_hub import constants
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit import sources
from toolkit.config.settings import DataConfig
from toolkit.data.load import load_splits, load_table
from toolkit.data.sources import acquire
from toolkit.errors import DataError, SourceError
from toolkit.tasks import loading

GOOD = [(f"a good film number {n}", "good") for n in range(20)]
BAD = [(f"a bad film number {n}", "bad") for n in range(20)]


@pytest.fixture
def fault():
    def refuse(identifier, function, *arguments, kind=DataError) -> str:
        with refused(kind, identifier) as caught:
            function(*arguments)
        return f"{caught.value.problem} {caught.value.fix}"

    return refuse


def config(path, **values) -> DataConfig:
    return DataConfig(source=str(path), **values)


# --- one table ------------------------------------------------------------------------------------------------------


def test_one_file_becomes_three_parts(sentiment, write_csv):
    splits = load_splits(sentiment, config(write_csv("all.csv", GOOD + BAD)), 0)
    assert splits.labels == ("bad", "good")
    assert [part.num_rows for part in (splits.train, splits.validation, splits.test)] == [30, 4, 6]
    texts = splits.train["text"].to_pylist()
    assert all(
        ("good" in text) == (label == 1) for text, label in zip(texts, splits.train["label"].to_pylist(), strict=True)
    )
    assert splits.facts["splits"][0] == {"name": "train", "rows": 30, "given": True, "classes": {"bad": 15, "good": 15}}
    assert not splits.facts["splits"][2]["given"]
    assert splits.facts["origin"] == splits.facts["source"]
    assert splits.train.column_names == ["text", "label", "_file", "_row"]


def test_a_folder_of_parts_is_taken_as_it_is(sentiment, write_csv, tmp_path):
    for name, rows in {
        "train": GOOD[:10] + BAD[:10],
        "validation": GOOD[10:13] + BAD[10:13],
        "test": GOOD[15:] + BAD[15:],
    }.items():
        write_csv(f"reviews/{name}.csv", rows)
    splits = load_splits(sentiment, config(tmp_path / "reviews"), 0)
    assert [part["rows"] for part in splits.facts["splits"]] == [20, 6, 10]
    assert all(part["given"] for part in splits.facts["splits"])


def test_the_same_seed_gives_the_same_parts(sentiment, write_csv):
    path = config(write_csv("all.csv", GOOD + BAD))
    first, same, other = (load_splits(sentiment, path, seed).facts["fingerprint"] for seed in (1, 1, 2))
    assert first == same != other


def test_white_space_in_headers_and_labels_is_no_obstacle(sentiment, write):
    rows = "".join(f"film {n} , {'good' if n % 2 else ' bad'}\n" for n in range(20))
    splits = load_splits(sentiment, config(write("all.csv", " text , label \n" + rows)), 0)
    assert splits.labels == ("bad", "good")


def test_assumed_names_of_numbers_are_noted(sentiment, write_csv):
    table = load_table(sentiment, config(write_csv("all.csv", [(f"film {n}", n % 2) for n in range(20)])))
    assert table.labels == ("negative", "positive")
    assert "Labels 0, 1 are numbers without names, and are read as negative, positive" in table.notes[0]
    assert table.parts["all"]["label"].to_pylist() == [0, 1] * 10


def test_label_map_takes_precedence(sentiment, write_csv):
    path = write_csv("all.csv", [(f"film {n}", n % 3) for n in range(30)])
    table = load_table(sentiment, config(path, label_map={"0": "bad", "2": "good", "1": None}))
    assert table.labels == ("bad", "good")
    assert table.counts == {"without_label": 10}
    assert "10 rows without a label" in table.notes[0]
    assert table.parts["all"].num_rows == 20


def test_where_filters_rows(sentiment, write):
    rows = "".join(f"film {n},{n % 2},{'tv' if n < 30 else 'cinema'}\n" for n in range(40))
    path = write("all.csv", "text,label,where\n" + rows)
    assert load_table(sentiment, config(path, where={"where": "cinema"})).parts["all"].num_rows == 10


def test_fewer_training_rows_keep_every_class(sentiment, write_csv):
    rows = [(f"film {n}", f"class {n % 5}") for n in range(100)]
    for most in (5, 7, 60):
        splits = load_splits(sentiment, config(write_csv("all.csv", rows), max_train_rows=most), 0)
        assert splits.train.num_rows == most
        assert set(splits.train["label"].to_pylist()) == set(range(5))
    assert load_splits(sentiment, config(write_csv("all.csv", rows), max_train_rows=99), 0).train.num_rows == 75


def test_an_empty_second_text_is_no_fault(sentiment, write):
    rows = "".join(f"film {n},{'and more' if n < 3 else ''},{n % 2}\n" for n in range(20))
    table = load_table(sentiment, config(write("all.csv", "text,text_pair,label\n" + rows)))
    assert table.parts["all"].num_rows == 20


def test_labels_of_pairs_are_not_renamed(sentiment, write):
    rows = "".join(f"film {n},film {n % 7},{n % 2}\n" for n in range(20))
    for header in ("premise,hypothesis,label\n", "sentence1,sentence2,label\n"):
        table = load_table(sentiment, config(write("all.csv", header + rows)))
        assert table.labels == ("0", "1")
        assert any("recipe `text`" in note for note in table.notes)
        assert any("text_pair is `" in note for note in table.notes)
    named = load_table(
        sentiment,
        config(
            write(
                "all.csv",
                "premise,hypothesis,label,label_text\n"
                + "".join(f"film {n},film {n % 7},{n % 2},{('no', 'yes')[n % 2]}\n" for n in range(20)),
            )
        ),
    )
    assert named.labels == ("no", "yes")


# --- what does not fit ----------------------------------------------------------------------------------------------


def test_all_one_class(sentiment, write_csv, fault):
    message = fault("label.one-class", load_splits, sentiment, config(write_csv("all.csv", GOOD)), 0)
    assert "All training rows have the same label, `good`" in message


def test_a_label_that_appears_once(sentiment, write_csv, fault):
    message = fault(
        "label.too-rare", load_splits, sentiment, config(write_csv("all.csv", [*GOOD, *BAD, ("odd", "mixed")])), 0
    )
    assert "`mixed` appears once (row 42)" in message


def test_a_label_outside_the_mapping(sentiment, write_csv, fault):
    message = fault(
        "label.not-mapped",
        load_splits,
        sentiment,
        config(write_csv("all.csv", GOOD + BAD), label_map={"good": "fine"}),
        0,
    )
    assert "`bad` is a label in the data but not in the mapping" in message


def test_a_mapping_that_drops_everything(sentiment, write_csv, fault):
    message = fault(
        "data.no-rows",
        load_splits,
        sentiment,
        config(write_csv("all.csv", GOOD + BAD), label_map={"good": None, "bad": None}),
        0,
    )
    assert "No usable row is left" in message


def test_a_held_out_label_that_train_has_not(sentiment, write_csv, tmp_path, fault):
    write_csv("reviews/train.csv", GOOD + BAD)
    write_csv("reviews/test.csv", [("strange", "mixed"), ("good one", "good")])
    message = fault("label.not-in-train", load_splits, sentiment, config(tmp_path / "reviews"), 0)
    assert "The test part has the label `mixed`, which train does not have" in message
    write_csv("reviews/test.csv", [("strange", "mixed"), ("odd", "odd"), ("good one", "good")])
    assert "the labels `mixed`, `odd`, which train does not have" in fault(
        "label.not-in-train", load_splits, sentiment, config(tmp_path / "reviews"), 0
    )


def test_empty_texts_are_left_out_and_counted(sentiment, write_csv):
    table = load_table(sentiment, config(write_csv("all.csv", [*GOOD, ("", "good"), *BAD, ('"   "', "bad")])))
    assert table.counts == {"empty_text": 2}
    assert "2 rows with an empty text were left out (first: all.csv, row 22)" in table.notes[0]
    assert table.parts["all"].num_rows == 40


def test_mostly_empty_texts_are_the_wrong_column(sentiment, write_csv, fault):
    message = fault(
        "data.empty-column", load_table, sentiment, config(write_csv("all.csv", [*GOOD, *[("", "bad")] * 21]))
    )
    assert "21 of 41 rows have an empty text (first: all.csv, row 22)" in message
    assert "--text-column" in message


def test_labels_nearly_as_many_as_rows(sentiment, write_csv, fault):
    message = fault(
        "label.too-many-classes",
        load_splits,
        sentiment,
        config(write_csv("all.csv", [(f"film {n}", f"id {n}") for n in range(90)])),
        0,
    )
    assert "90 different values" in message
    assert "swapped" not in message
    message = fault(
        "label.too-many-classes",
        load_splits,
        sentiment,
        config(write_csv("all.csv", [("good" if n % 2 else "bad", f"film {n}") for n in range(90)])),
        0,
    )
    assert "swapped" in message


def test_many_classes_with_a_few_rows_each_are_labels(sentiment, write_csv):
    rows = [(f"text number {n}", f"class {n % 100}") for n in range(300)]
    assert len(load_table(sentiment, config(write_csv("all.csv", rows))).labels) == 100


def test_inspect_notes_what_training_refuses(sentiment, write_csv, fault):
    path = config(write_csv("all.csv", [(f"film {n}", f"id {n}") for n in range(90)]))
    assert "90 of them occur in one row only" in fault("label.too-many-classes", load_table, sentiment, path)
    table = load_table(sentiment, path, lenient=True)
    assert len(table.labels) == 90
    assert "Training would refuse this table" in table.notes[0]


def test_inspect_shows_a_table_without_labels(sentiment, write_csv, fault):
    path = config(write_csv("all.csv", [(f"film {n}", "x") for n in range(9)], header="text,review_id"))
    assert "No column was recognised as the label" in fault("data.column-unrecognized", load_table, sentiment, path)
    table = load_table(sentiment, path, lenient=True)
    assert table.parts["all"].num_rows == 9
    assert table.labels == ()
    assert "No column was recognised as the label" in table.notes[0]
    assert "--label-column" in table.notes[0]
    empty = load_table(sentiment, config(write_csv("empty.csv", [(f"film {n}", "") for n in range(9)])), lenient=True)
    assert empty.parts["all"].num_rows == 9
    assert "The column of the label is empty" in empty.notes[0]


def test_a_text_column_of_numbers_is_remarked(sentiment, write_csv):
    table = load_table(sentiment, config(write_csv("all.csv", [(n * 1.5, "ab"[n % 2]) for n in range(20)])))
    assert "The column of the text holds only numbers" in table.notes[0]
    mixed = [*[(n, "a") for n in range(20)], ("a film", "b")]
    assert load_table(sentiment, config(write_csv("mixed.csv", mixed))).notes == ()


def test_ratings_are_learnt_as_they_are_with_a_hint_at_the_map(sentiment, write_csv):
    path = write_csv("all.csv", [(f"film {n}", n % 5 + 1) for n in range(50)])
    table = load_table(sentiment, config(path))
    assert table.labels == ("1", "2", "3", "4", "5")
    assert "data.label_map={1: negative" in table.notes[0]
    mapped = {"1": "bad", "2": "bad", "3": None, "4": "good", "5": "good"}
    assert not any("ratings" in note for note in load_table(sentiment, config(path, label_map=mapped)).notes)


def test_a_mapped_label_that_no_row_has_is_remarked(sentiment, write_csv):
    mapped = {"good": "fine", "bad": "poor", "god": "fine"}
    table = load_table(sentiment, config(write_csv("all.csv", GOOD + BAD), label_map=mapped))
    assert table.notes == ("No row has the label `god` of `data.label_map`.",)


def test_no_labels_at_all(sentiment, write_csv, fault):
    message = fault(
        "data.empty-column", load_table, sentiment, config(write_csv("all.csv", [(f"film {n}", "") for n in range(9)]))
    )
    assert "The column of the label is empty" in message


def test_a_part_without_labels_is_left_aside(sentiment, write_csv, tmp_path):
    write_csv("reviews/train.csv", GOOD + BAD)
    write_csv("reviews/test.csv", [(f"unknown {n}", "") for n in range(9)])
    splits = load_splits(sentiment, config(tmp_path / "reviews"), 0)
    assert "The test part has no labels and is ignored." in splits.facts["notes"]
    assert not splits.facts["splits"][2]["given"]


@pytest.mark.parametrize("header", ["text", "text,id"])
def test_a_test_part_without_a_column_of_labels_is_left_aside(sentiment, write, write_csv, tmp_path, header):
    write_csv("reviews/train.csv", GOOD + BAD)
    write("reviews/test.csv", header + "\n" + "".join(f"unknown {n}{',1' * (header != 'text')}\n" for n in range(9)))
    for columns in ({}, {"label": "label"}):
        splits = load_splits(sentiment, config(tmp_path / "reviews", columns=columns), 0)
        assert "The test part has no column of the label and is ignored." in splits.facts["notes"]
        assert set(load_table(sentiment, config(tmp_path / "reviews"), lenient=True).parts) == {"train"}


def test_a_test_part_that_holds_minus_one_is_left_aside(sentiment, write_csv, tmp_path):
    write_csv("reviews/train.csv", [(f"film {n}", n % 2) for n in range(40)])
    write_csv("reviews/test.csv", [(f"unknown {n}", -1) for n in range(9)])
    splits = load_splits(sentiment, config(tmp_path / "reviews"), 0)
    assert splits.labels == ("negative", "positive")
    assert "The test part has no labels, only -1, and is ignored." in splits.facts["notes"]


def test_evaluation_on_rows_without_labels_is_refused(sentiment, write_csv, fault):
    path = config(write_csv("all.csv", [(f"unknown {n}", -1) for n in range(9)]))
    assert "No row has a label: all hold -1" in fault(
        "label.missing", load_table, sentiment, path, ("negative", "positive")
    )


@pytest.mark.parametrize(
    ("values", "labels"),
    [((0, 1), ("negative", "positive")), ((0, 1, 2), ("0", "1", "2")), ((0, 1, 2, 3, 4), ("0", "1", "2", "3", "4"))],
)
def test_three_numbers_keep_their_names(sentiment, write_csv, values, labels):
    table = load_table(
        sentiment, config(write_csv("all.csv", [(f"film {n}", values[n % len(values)]) for n in range(30)]))
    )
    assert table.labels == labels
    assert "are numbers without names" in table.notes[0]


def test_numbers_are_read_as_in_training(sentiment, write_csv, fault):
    first = config(write_csv("all.csv", [(f"film {n}", 1) for n in range(9)]))
    table = load_table(sentiment, first, ("negative", "positive"))
    assert table.parts["all"]["label"].to_pylist() == [1] * 9
    assert "1 are numbers without names, and are read as positive" in table.notes[0]
    assert "do not match" in fault("label.not-of-model", load_table, sentiment, first, ("positive", "negative"))
    unnamed = load_table(sentiment, first, ("LABEL_0", "LABEL_1"))
    assert unnamed.parts["all"]["label"].to_pylist() == [1] * 9


@pytest.mark.parametrize("fate", ["drop", "merge"])
def test_rare_labels_are_left_out_or_merged(sentiment, write_csv, fate):
    rare = [(f"odd {n}", f"odd {n % 4}") for n in range(8)]
    path = config(write_csv("all.csv", GOOD + BAD + rare), min_label_rows=5, rare_labels=fate)
    splits = load_splits(sentiment, path, 0)
    assert splits.labels == (("bad", "good", "other") if fate == "merge" else ("bad", "good"))
    assert sum(part["rows"] for part in splits.facts["splits"]) == (48 if fate == "merge" else 40)
    assert any("odd 0 2, odd 1 2, odd 2 2, odd 3 2" in note for note in splits.facts["notes"])
    assert splits.label_map["odd 3"] == ("other" if fate == "merge" else None)
    later = load_table(
        sentiment, config(write_csv("new.csv", GOOD[:5] + rare[:3]), label_map=splits.label_map), splits.labels
    )
    assert later.parts["all"].num_rows == (8 if fate == "merge" else 5)


def test_no_rare_label_leaves_the_mapping_as_it_is(sentiment, write_csv):
    splits = load_splits(sentiment, config(write_csv("all.csv", GOOD + BAD), min_label_rows=5), 0)
    assert splits.labels == ("bad", "good")
    assert splits.label_map == {}


def test_amounts_get_no_advice_on_classes_alone(sentiment, write_csv, fault):
    prices = config(write_csv("all.csv", [(f"film {n}", n / 7) for n in range(90)]))
    assert "from 0 to 12.7143. If they are quantities" in fault(
        "label.too-many-classes", load_splits, sentiment, prices, 0
    )
    grades = config(write_csv("few.csv", [(f"film {n}", n // 3 / 10) for n in range(100)]))
    assert "If they are quantities" in fault("label.too-rare", load_splits, sentiment, grades, 0)


def test_several_labels_in_a_cell_are_refused_and_shown(sentiment, write_csv, fault):
    path = write_csv("all.csv", [(f"film {n}", ("food", "room", "food|room")[n % 3]) for n in range(60)])
    message = fault("label.several-in-a-row", load_splits, sentiment, config(path), 0)
    assert "20 of 60 rows have several labels (such as `food|room`" in message
    assert "20 of 60 rows have several labels" in load_table(sentiment, config(path), lenient=True).notes[0]
    mapped = {"food": "food", "room": "room", "food|room": "both"}
    assert load_splits(sentiment, config(path, label_map=mapped), 0).labels == ("food", "room", "both")


def test_the_unlabelled_texts_of_a_folder_are_no_class(sentiment, write, tmp_path):
    for part in ("train", "test"):
        for label in ("neg", "pos", *(["unsup"] if part == "train" else [])):
            for n in range(6):
                write(f"{part}/{label}/{n}.txt", f"{part} {label} {n}")
    splits = load_splits(sentiment, config(tmp_path), 0)
    assert splits.labels == ("neg", "pos")
    assert splits.facts["counts"]["without_label"] == 6
    assert any("`unsup`" in note for note in splits.facts["notes"])


def test_parts_without_folders_of_classes_are_no_classes(sentiment, write, tmp_path, fault):
    for part in ("train", "test"):
        for n in range(6):
            write(f"{part}/{n}.txt", f"{part} {n}")
    message = fault("label.missing", load_splits, sentiment, config(tmp_path), 0)
    assert "test, train, which are splits of a data set, not classes" in message


@pytest.mark.parametrize("wanted", ["true", "TRUE"])
def test_a_filter_reads_booleans_however_they_are_written(sentiment, write, wanted):
    path = write("all.csv", "text,label,kept\n" + "".join(f"film {n},{n % 2},{n < 12}\n" for n in range(20)))
    assert load_table(sentiment, config(path, where={"kept": wanted})).parts["all"].num_rows == 12


def test_no_train_part(sentiment, write_csv, tmp_path, fault):
    write_csv("reviews/test.csv", GOOD + BAD)
    assert "has no train part, only test" in fault(
        "data.no-train-part", load_splits, sentiment, config(tmp_path / "reviews"), 0
    )


def test_a_filter_that_names_nothing(sentiment, write_csv, fault):
    path = write_csv("all.csv", GOOD + BAD)
    assert "names the column `kind`" in fault(
        "data.column-missing", load_table, sentiment, config(path, where={"kind": "x"})
    )
    assert "No row has label = x" in fault("data.no-rows", load_table, sentiment, config(path, where={"label": "x"}))


def test_fewer_rows_than_classes(sentiment, write_csv, fault):
    path = write_csv("all.csv", [(f"film {n}", n % 5) for n in range(100)])
    assert "train has 5 classes" in fault(
        "config.out-of-range", load_splits, sentiment, config(path, max_train_rows=4), 0
    )


# --- duplicates -----------------------------------------------------------------------------------------------------


def test_texts_in_train_and_test_leave_train_and_are_counted(sentiment, write_csv, tmp_path):
    write_csv("reviews/train.csv", GOOD + BAD)
    write_csv("reviews/test.csv", [(text.upper(), label) for text, label in GOOD[:3] + BAD[:2]])
    path = tmp_path / "reviews"
    splits = load_splits(sentiment, config(path), 0)
    assert splits.facts["counts"]["train_in_held_out"] > 0
    assert not {t.lower() for t in splits.train["text"].to_pylist()} & {
        t.lower() for t in splits.test["text"].to_pylist()
    }
    assert any("removed from train" in note for note in splits.facts["notes"])
    kept = load_splits(sentiment, config(path, deduplicate=False), 0)
    assert kept.train.num_rows == 36
    assert any("left in train" in note for note in kept.facts["notes"])


def test_conflicting_duplicates_do_not_cross_the_border(sentiment, write_csv):
    rows = GOOD + BAD + [(text, "bad") for text, _ in GOOD[:10]]
    splits = load_splits(sentiment, config(write_csv("all.csv", rows)), 0)
    held_out = set(splits.test["text"].to_pylist()) | set(splits.validation["text"].to_pylist())
    assert not held_out & set(splits.train["text"].to_pylist())


def test_nothing_but_duplicates(sentiment, write_csv, fault):
    rows = [("the same", label) for label in ["good", "bad"] * 20]
    assert "also occurs in a held-out part" in fault(
        "data.overlapping-parts", load_splits, sentiment, config(write_csv("all.csv", rows)), 0
    )


def test_a_class_that_is_lost_with_its_duplicates(sentiment, write_csv, fault):
    rows = [*GOOD, *[("the same", "bad")] * 20]
    assert "same label, `good`" in fault(
        "label.one-class", load_splits, sentiment, config(write_csv("all.csv", rows)), 0
    )


# --- a trained model's classes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("trained", [("good", "bad"), ("bad", "good"), ("GOOD", "other", "Bad")])
def test_labels_are_numbered_as_the_model_numbers_them(sentiment, write_csv, trained):
    table = load_table(sentiment, config(write_csv("all.csv", GOOD + BAD)), trained)
    assert table.labels == trained
    numbers = {trained[n].lower() for n in table.parts["all"].slice(0, 20)["label"].to_pylist()}
    assert numbers == {"good"}


def test_data_with_fewer_classes_than_the_model_is_fine(sentiment, write_csv):
    table = load_table(sentiment, config(write_csv("all.csv", GOOD)), ("bad", "good"))
    assert set(table.parts["all"]["label"].to_pylist()) == {1}


def test_bare_numbers_of_a_model_that_was_trained_with_them(sentiment, write_csv):
    table = load_table(sentiment, config(write_csv("all.csv", [(f"film {n}", n % 2) for n in range(8)])), ("0", "1"))
    assert table.parts["all"]["label"].to_pylist() == [0, 1] * 4
    assert table.notes == ()


def test_labels_that_the_model_does_not_know(sentiment, write_csv, fault):
    message = fault(
        "label.not-of-model",
        load_table,
        sentiment,
        config(write_csv("all.csv", GOOD + BAD)),
        ("LABEL_0", "LABEL_1", "LABEL_2"),
    )
    assert "do not match the model's" in message


# --- words ----------------------------------------------------------------------------------------------------------


def test_words_and_their_labels(tokens, write):
    rows = '{"words": ["Ada", "wrote"], "labels": ["B-PER", "O"]}\n{"words": ["it"], "labels": ["O"]}\n' * 6
    table = load_table(tokens, config(write("all.jsonl", rows)))
    assert table.labels == ("B-PER", "O")
    assert table.parts["all"]["labels"].to_pylist()[:2] == [[0, 1], [1]]


def test_words_and_labels_of_different_number(tokens, write, fault):
    rows = '{"words": ["Ada", "wrote"], "labels": ["B-PER", "O"]}\n' * 3 + '{"words": ["a", "b"], "labels": ["O"]}\n'
    assert "all.jsonl, row 4: 2 words but 1 labels" in fault(
        "label.wrong-count", load_table, tokens, config(write("all.jsonl", rows))
    )


# --- the Hub --------------------------------------------------------------------------------------------------------


@pytest.fixture
def on_hub(monkeypatch):
    """Put a data set, or an error, in the place of what the Hub would give."""

    def put(given_parts):
        def load_dataset(*_, **__):
            if isinstance(given_parts, Exception):
                raise given_parts
            return given_parts

        monkeypatch.setattr(sources, "hub_problem", lambda: None)
        monkeypatch.setattr(datasets, "load_dataset", load_dataset)

    return put


def hub_set(rows, **features):
    return datasets.Dataset.from_dict(rows, features=datasets.Features({"text": datasets.Value("string"), **features}))


def test_class_names_come_from_the_schema(sentiment, on_hub):
    label = datasets.ClassLabel(names=["sad", "glad"])
    on_hub({"train": hub_set({"text": ["a", "b", "c"], "label": [1, 0, -1]}, label=label), "unsupervised": None})
    table = load_table(sentiment, DataConfig(source="org/data:small@v1"))
    assert table.labels == ("sad", "glad")  # in the order of the numbers
    assert table.origin == "org/data:small@v1"
    assert table.counts == {"without_label": 1}
    assert table.parts["train"].to_pylist()[0] == {"text": "a", "label": 1, "_file": "org/data/train", "_row": 1}


def test_parts_by_other_names(sentiment, on_hub):
    rows = hub_set({"text": ["a", "b"], "label": ["x", "y"]}, label=datasets.Value("string"))
    on_hub({"train": rows, "dev": rows})
    assert set(load_table(sentiment, DataConfig(source="org/data")).parts) == {"train", "validation"}
    on_hub({"everything": rows})
    assert set(load_table(sentiment, DataConfig(source="org/data")).parts) == {"all"}


def test_parts_that_are_none(sentiment, on_hub, fault):
    on_hub({"one": None, "two": None})
    assert "none is train or test" in fault("data.unknown-parts", load_table, sentiment, DataConfig(source="org/data"))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Config name is missing. Please pick one"),
        FileNotFoundError("no such data set"),
        ConnectionError("hung up"),
        datasets.exceptions.DatasetGenerationError("broken file"),
        datasets.exceptions.DatasetNotFoundError("nothing there"),
        RuntimeError("Dataset scripts are no longer supported"),
    ],
)
def test_errors_of_datasets_are_reported(sentiment, on_hub, fault, error):
    on_hub(error)
    message = fault("hub.cannot-load", load_table, sentiment, DataConfig(source="org/data"), kind=SourceError)
    assert "The data set org/data cannot be loaded" in message
    assert str(error)[:20] in message


def test_a_fault_in_the_code_stays_a_fault(sentiment, on_hub):
    on_hub(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        load_table(sentiment, DataConfig(source="org/data"))


def test_without_a_network_or_a_copy(sentiment, monkeypatch, fault, on_hub):
    on_hub(ConnectionError("offline"))
    monkeypatch.setattr(sources, "hub_problem", lambda: "HF_HUB_OFFLINE is set")
    for switches in (datasets.config, constants):  # the load turns them; they are given back
        monkeypatch.setattr(switches, "HF_HUB_OFFLINE", switches.HF_HUB_OFFLINE)
    message = fault("hub.unreachable", load_table, sentiment, DataConfig(source="org/data"), kind=SourceError)
    assert "org/data is not on this machine and HF_HUB_OFFLINE is set" in message


def test_only_the_recipes_own_data_is_ever_replaced(sentiment, monkeypatch, no_hub):
    own = sentiment.defaults["data"]["source"]
    monkeypatch.setattr(sources, "local_path", lambda source: None)
    assert acquire.fallback_data(sentiment, DataConfig(source=own)) == sentiment.fallback_data
    assert acquire.fallback_data(sentiment, DataConfig(source="org/mine")) is None
    monkeypatch.setattr(sources, "hub_problem", lambda: None)
    assert acquire.fallback_data(sentiment, DataConfig(source=own)) is None


def test_no_stand_in_where_its_package_is_missing(sentiment, monkeypatch, no_hub):
    recipe = replace(sentiment, fallback_data={"source": "pkg://no_such_package_anywhere/x.csv"})
    assert acquire.fallback_data(recipe, DataConfig(source=sentiment.defaults["data"]["source"])) is None


# --- a law ----------------------------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), st.sampled_from(["x", "x", "y", "y", ""])),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 9),
)
def test_any_table_is_split_cleanly_or_refused(tmp_path_factory, rows, seed):
    from toolkit.tasks import loading

    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    try:
        splits = load_splits(loading.load("sentiment"), config(path), seed)
    except DataError as error:
        assert error.fix
        return
    parts = (splits.train, splits.validation, splits.test)
    assert all(part.num_rows for part in parts)
    assert sum(part.num_rows for part in parts) <= sum(1 for _, label in rows if label)
    written = {(text, label) for text, label in rows}
    for part in parts:
        assert {(row["text"], splits.labels[row["label"]]) for row in part.to_pylist()} <= written
    assert set(splits.train["label"].to_pylist()) == set(range(len(splits.labels)))


def test_a_label_column_of_train_is_that_of_the_other_parts(sentiment, write):
    for part, rows in (("train", 40), ("test", 20)):
        lines = [f"text {part} {row},{'small' if row % 2 else 'large'}" for row in range(rows)]
        write(f"data/{part}.csv", "\n".join(["text,size", *lines, ""]))
    splits = load_splits(sentiment, config(write("data/README.md", "").parent), 7)
    assert splits.test.num_rows == 20
    assert [part["given"] for part in splits.facts["splits"]] == [True, False, True]


def test_words_of_one_label_are_refused_before_training(write):
    tokens = loading.load("tokens")
    outside = "".join(f"w{n} O\n\n" for n in range(30))
    with refused(DataError, "label.one-class", "`O`", "entity"):
        load_splits(tokens, DataConfig(source=str(write("o.conll", outside))), 0)
    table = load_table(tokens, DataConfig(source=str(write("o.conll", outside))))  # rows to evaluate on may have none
    assert not any("label_map" in note for note in table.notes)


def test_values_inside_objects_are_found_and_named(write, sentiment):
    lines = [{"review": {"body": f"film {n}", "meta": {"n": n}}, "label": "ab"[n % 2]} for n in range(8)]
    source = str(write("a.jsonl", "\n".join(map(json.dumps, lines))))
    table = load_table(sentiment, DataConfig(source=source)).parts["all"]
    assert table["text"].to_pylist()[0] == "film 0"
    with refused(DataError, "data.nested-column", "`review.body`", "`review.meta`"):
        load_table(sentiment, DataConfig(source=source, columns={"text": "review"}))
