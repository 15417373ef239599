from tests.support import checkpoints
from toolkit.commands.finetune.prepare import configure, prepare
from toolkit.commands.finetune.preview import preview


def shown(read_data=True, **values):
    recipe, resolved = configure("sentiment", [("flag", values)])
    return preview(recipe, resolved, read_data=read_data)


def test_a_preview_has_the_values_of_the_run(tmp_path):
    for rows in (60, 400):
        source = str(checkpoints.reviews(tmp_path / f"{rows}.csv", rows))
        values = {"model": checkpoints.TINY, "data": {"source": source}}
        recipe, resolved = configure("sentiment", [("flag", values)])
        run = prepare(recipe, resolved, lambda _event: None, may_compare=True)
        found = shown(**values)
        assert found.config == run.config
        assert found.origins == run.resolved.origins
        assert found.config.training.few_labels == ("on" if rows == 60 else "off")


def test_a_model_that_is_not_here_leaves_the_learning_rate_open():
    assert shown(read_data=False, model="nobody/nothing").config.training.learning_rate is None
    found = shown(read_data=False, model=checkpoints.TINY)
    assert found.layer("training.learning_rate") == "from the model"
    assert found.origin("training.batch_size") == "default"
