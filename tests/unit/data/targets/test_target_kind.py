"""The kind of target that a label column holds: inferred where it is plain, asked about where it is not."""

from dataclasses import replace

import pytest

from tests.support.errors import refused
from toolkit.config.settings import DataConfig
from toolkit.data.load import load_splits, load_table
from toolkit.errors import ConfigError, DataError, RecipeError
from toolkit.tasks import loading
from toolkit.tasks.targets.multi_label import MULTI_LABEL

TEXT = loading.load("text")


@pytest.fixture
def table(tmp_path):
    def write(header: str, rows: list[str]) -> str:
        path = tmp_path / "rows.csv"
        path.write_text(
            "\n".join([header, *(f"text {n},{row}" for n, row in enumerate(rows))]) + "\n", encoding="utf-8"
        )
        return str(path)

    return write


def kind(path: str, **values: object) -> str:
    found = load_table(TEXT, DataConfig(source=path, **values))
    assert found.target is not None
    return found.target[0]


@pytest.mark.parametrize(
    ("header", "values", "expected"),
    [
        ("text,label", ["sport", "food"] * 20, "class"),
        ("text,tags", ["sport|food", "food", "sport", ""] * 10, "classes"),
        ("text,tags", ["sport;food", "food", "sport", "food;sport"] * 10, "classes"),
        ("text,tags", ['"[""sport"", ""food""]"', '"[""food""]"', "[]", '"[""sport""]"'] * 10, "classes"),
        ("text,label", ['"[""sport""]"', '"[""food""]"'] * 20, "class"),
        ("text,label", ['"Arts, Culture"', "Sport"] * 20, "class"),
        ("text,stars", list("12345") * 8, "stars"),
        ("text,label", list("12345") * 8, "class"),
        ("text,rating", list("01") * 20, "class"),
        ("text,price", [f"{n}.5" for n in range(40)], "number"),
        ("text,price", [f'"{n},5"' for n in range(40)], "number"),
        ("text,score", ["0.5", "1.5"] * 20, "class"),
    ],
)
def test_kinds_are_inferred_from_the_values(table, header, values, expected):
    column = header.partition(",")[2]
    assert kind(table(header, values), columns={"label": column}) == expected


def test_many_whole_numbers_are_asked_about(table):
    path = table("text,label", [str(n % 30) for n in range(90)])
    with refused(DataError, "label.class-or-number") as caught:
        kind(path)
    assert "--target number" in caught.value.fix
    assert "--target class" in caught.value.fix
    assert kind(path, target="number") == "number"
    assert kind(path, target="class") == "class"


def test_a_kind_that_the_recipe_does_not_take_is_refused_with_those_it_takes():
    with refused(ConfigError, "config.unknown-choice") as caught:
        loading.load("text", "text")
    assert "translation" in caught.value.fix
    with refused(ConfigError, "config.unknown-choice") as caught:
        loading.load("sentiment", "number")
    assert "`text`" in caught.value.fix


def test_columns_of_0_and_1_are_classes(table):
    path = table("text,sport,food,none", ["1,0,0", "0,1,0", "1,1,0", "0,0,0"] * 10)
    found = load_table(TEXT, DataConfig(source=path, target="classes"))
    assert found.labels == ("food", "sport")
    rows = found.parts["all"]["label"].to_pylist()[:4]
    assert [[found.labels[number] for number in row] for row in rows] == [["sport"], ["food"], ["food", "sport"], []]
    named = load_table(TEXT, DataConfig(source=path, columns={"label": "sport,none"}))
    assert named.target is not None
    assert named.target[0] == "classes"
    assert named.labels == ("sport",)


def test_a_column_that_is_not_of_0_and_1_is_refused_as_a_class(table):
    path = table("text,sport,food", ["1,0", "0,2"] * 10)
    with refused(DataError, "label.not-binary") as caught:
        kind(path, columns={"label": "sport,food"})
    assert "`food`" in caught.value.problem
    with refused(DataError, "data.column-missing"):
        kind(path, columns={"label": "sport,drink"})


def test_numbers_are_read_and_rows_without_one_left_out(table):
    values = [f"{n}.25" for n in range(40)] + ["", "n/a", "NaN"]
    splits = load_splits(TEXT, DataConfig(source=table("text,price", values), columns={"label": "price"}), 0)
    rows = splits.train.num_rows + splits.validation.num_rows + splits.test.num_rows
    assert rows == 40
    assert splits.facts["counts"]["without_label"] == 3
    assert splits.labels == ()
    with refused(DataError, "label.not-a-number"):
        kind(table("text,price", ["cheap", "dear"] * 20), columns={"label": "price"}, target="number")


def test_parts_of_several_classes_keep_the_rare_ones(table):
    values = ["common|often", "common", "often", "rare|common"] * 30
    splits = load_splits(TEXT, DataConfig(source=table("text,tags", values), columns={"label": "tags"}), 0)
    rare = splits.labels.index("rare")
    for part in (splits.train, splits.validation, splits.test):
        share = sum(rare in row for row in part["label"].to_pylist()) / part.num_rows
        assert share == pytest.approx(0.25, abs=0.1)


def test_a_stored_kind_is_not_inferred_again(table):
    path = table("text,label", [f"{n}.5" for n in range(40)])
    again = load_table(TEXT.for_target("number"), DataConfig(source=path, target="number"), ())
    assert again.parts["all"].num_rows == 40


def test_names_need_an_order_to_be_ordered_classes(table):
    path = table("text,severity", ["low", "medium", "high", "high"] * 10)
    wanted = {"columns": {"label": "severity"}, "target": "stars"}
    with refused(DataError, "label.no-order") as caught:
        kind(path, **wanted)
    assert "--target class" in caught.value.fix
    given = {name: name for name in ("low", "medium", "high")}
    ordered = load_table(TEXT, DataConfig(source=path, label_map=given, **wanted))
    assert ordered.labels == ("low", "medium", "high")
    numbers = load_table(TEXT, DataConfig(source=table("text,stars", ["1", "2.5", "10"] * 9), target="stars"))
    assert numbers.labels == ("1", "2.5", "10")


@pytest.mark.parametrize(("cells", "noted"), [(["sport", "food"] * 20, True), (["sport", "food", "sport|food"], False)])
def test_one_class_in_each_row_is_noted_where_several_were_wanted(table, cells, noted):
    config = DataConfig(source=table("text,tags", cells), target="classes")
    assert any("--target class " in note for note in load_table(TEXT, config).notes) is noted


@pytest.mark.parametrize(
    ("cells", "wanted", "error", "better"),
    [
        (["sport|food", "food", "sport"] * 10, "class", "label.several-in-a-row", "--target classes"),
        (["sport|food", "food", "sport"] * 10, "stars", "label.several-in-a-row", "--target classes"),
        (["sport|food", "food", "sport"] * 10, "number", "label.not-a-number", "--target classes"),
        (["sport", "food"] * 10, "number", "label.not-a-number", "--target class,"),
        ([f"{n}.5" for n in range(40)], "class", "label.too-many-classes", "--target number"),
        ([f"{n}.5" for n in range(40)], "classes", "label.too-many-classes", "--target number"),
        ([f"{n}.5" for n in range(40)], "stars", "label.too-many-classes", "--target number"),
    ],
)
def test_the_error_for_a_wrong_kind_names_the_right_one(table, cells, wanted, error, better):
    with refused(DataError, error) as caught:
        kind(table("text,label", cells), target=wanted)
    assert better in f"{caught.value.problem} {caught.value.fix}"


def test_a_target_of_one_class_cannot_read_lists(table):
    one = replace(MULTI_LABEL, single=True)
    recipe = replace(
        TEXT, targets={}, columns=tuple(replace(c, kind=one) if c.role == "label" else c for c in TEXT.columns)
    )
    with refused(RecipeError, "recipe.contradictory-target"):
        load_table(recipe, DataConfig(source=table("text,label", ["sport|food", "food"] * 9)))


def test_inspect_notes_an_unknown_order(table):
    config = DataConfig(source=table("text,severity", ["low", "high"] * 9), columns={"label": "severity"})
    config = config.model_copy(update={"target": "stars"})
    assert any("data.label_map" in note for note in load_table(TEXT, config, lenient=True).notes)


def test_an_identifier_of_0_and_1_is_no_class(table):
    path = table("text,sport,food,id", ["1,0,0", "0,1,1", "1,1,0", "0,0,1"] * 10)
    assert load_table(TEXT, DataConfig(source=path, target="classes")).labels == ("food", "sport")


def test_a_column_with_many_cells_that_are_no_numbers_is_refused(table):
    values = [f"{number}.5" for number in range(50)]
    with refused(DataError, "label.not-a-number", "`3 pieces`", "10 of 60"):
        kind(table("text,price", [*values, *["3 pieces"] * 10]), columns={"label": "price"}, target="number")
    loaded = load_table(TEXT, DataConfig(source=table("text,price", [*values, "?", "x"]), target="number"))
    assert loaded.parts["all"].num_rows == 50
    with refused(DataError, "label.one-class", "7"):
        kind(table("text,price", ["7.0"] * 40), columns={"label": "price"}, target="number")


@pytest.mark.parametrize(
    ("header", "values", "order"),
    [
        ("text,rating", ["0.5", "4.5", "5", "3.5"], ("0.5", "3.5", "4.5", "5")),
        ("text,label", ["4 stars", "1 star", "5 stars"], ("1 star", "4 stars", "5 stars")),
        ("text,label", ["★★☆", "★☆☆", "★★★"], ("★☆☆", "★★☆", "★★★")),
        ("text,label", ["4/5", "1/5", "5/5"], ("1/5", "4/5", "5/5")),
    ],
)
def test_ratings_of_every_form_are_ordered(table, header, values, order):
    found = load_table(TEXT, DataConfig(source=table(header, values * 10)))
    assert found.target is not None
    assert found.target[0] == "stars"
    assert found.labels == order


def test_missing_values_have_no_place_in_a_suggested_order(table):
    with refused(DataError, "label.no-order", '"NaN": null') as caught:
        kind(table("text,stars", ["low", "high", "middle", "NaN"] * 10), target="stars")
    assert '"NaN": "NaN"' not in caught.value.fix


@pytest.mark.parametrize("unit", ["{}.50 €", "$1,0{}.79", "{}.1%", "{} kg"])
def test_quantities_with_units_are_named_as_such(table, unit):
    values = [f'"{unit.format(10 + number)}"' for number in range(60)]
    with refused(DataError, "label.too-many-classes", "--target number"):
        kind(table("text,price", values), columns={"label": "price"})
    with refused(DataError, "label.too-many-classes") as caught:
        kind(
            table("text,note", [f"note {chr(97 + n % 26)} of {n} things" for n in range(60)]), columns={"label": "note"}
        )
    assert "--target number" not in caught.value.fix
