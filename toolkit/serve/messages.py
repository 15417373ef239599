"""What goes over the wire: requests that fit the model's recipe, answers, and refusals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, WrapValidator, create_model

from toolkit.serve.limits import Limits
from toolkit.tasks.task import Column

CLOSED = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """A refusal of a request, or of one of its inputs: what is wrong, and what to do next."""

    problem: str
    fix: str
    id: str | None = Field(None, description="Identifier of the cause; not of every refusal")


class Prediction(BaseModel):
    """The answer to one input."""

    prediction: str | list[str | None] = Field(
        description="The class, the text that was written, or a class for each word"
    )
    score: float | None = Field(None, description="Probability that the model gives to its answer")
    calibrated_score: float | None = Field(
        None, description="The same with the temperature that was fitted on validation rows"
    )
    scores: dict[str, float] | None = Field(None, description="Probability of each class")


class Predictions(BaseModel):
    """The answers, in the order of the inputs; an input that cannot be answered has a problem in its place."""

    model: str
    predictions: list[Prediction | Problem]


@dataclass(frozen=True)
class Unfit:
    """An input that does not fit, among others that may.

    Attributes:
        errors: As pydantic reports them.
    """

    errors: Sequence[Any]


def _or_unfit(given: Any, fit: Callable[[Any], Any]) -> Any:
    try:
        return fit(given)
    except ValidationError as error:
        return Unfit(error.errors())


class Method(BaseModel):
    """How an explanation was made."""

    name: str
    title: str
    about: str


class Explanation(BaseModel):
    """What one answer rests on."""

    prediction: str
    score: float = Field(description="Probability that the model gives to its answer")
    method: Method
    signed: bool = Field(description="Whether a score below zero speaks against the answer")
    scores: list[float] = Field(description="How much the answer rests on each word, or on each patch of a picture")
    words: list[str] | None = Field(None, description="The words of a text")
    grid: list[int] | None = Field(None, description="Rows and columns of a picture's patches, row by row")
    overlay: str | None = Field(None, description="The picture under its scores, as a data address")
    belief: str = Field(description="How far such an explanation of this model can be believed, as it was measured")


class Health(BaseModel):
    """That the service answers, and for which model."""

    status: Literal["ok"] = "ok"
    model: str
    task: str
    labels: list[str]
    device: str
    calibrated: bool
    explains: bool
    waiting: int = Field(description="Inputs that wait to be answered")
    version: str


def request_types(inputs: Sequence[Column], limits: Limits) -> tuple[type[BaseModel], type[BaseModel]]:
    """Return the types of the requests /predict and /explain for a recipe: a field for each column that it asks about.

    Where one column says all, its bare value may stand in the place of an input. An input of /predict that does not fit
    is `Unfit`, and the others are answered.
    """
    fields: dict[str, Any] = {}
    for column in inputs:
        given = column.kind.json(limits.characters)
        shape = given if column.required else given | None
        fields[column.role] = (shape, Field(... if column.required else None, description=column.kind.about))
    required = [column for column in inputs if column.required]
    whole = create_model("Input", __config__=CLOSED, **fields)
    item_type: Any = whole
    if len(required) == 1:
        bare: Any = required[0].kind.json(limits.characters)
        either: Any = Union[Annotated[whole, Tag("object")], Annotated[bare, Tag("bare")]]  # noqa: UP007
        item_type = Annotated[
            either, Discriminator(lambda given: "object" if isinstance(given, dict | whole) else "bare")
        ]
    ask = create_model(
        "Ask",
        __config__=CLOSED,
        inputs=(
            list[Annotated[item_type, WrapValidator(_or_unfit)]],
            Field(min_length=1, max_length=limits.inputs, description="What to answer"),
        ),
    )
    why = create_model(
        "Why",
        __config__=CLOSED,
        input=(item_type, Field(description="What to answer")),
        method=(str | None, Field(None, description="How to explain; the most faithful known way when not given")),
    )
    return ask, why


def values(item: Any, inputs: Sequence[Column]) -> dict[str, Any]:
    """Bring an input of a request into role → value.

    Raises:
        ValueError: A picture is not written in base64.
    """
    if isinstance(item, BaseModel):
        given = {role: value for role, value in item.model_dump().items() if value is not None}
    else:
        given = {next(column.role for column in inputs if column.required): item}
    for column in inputs:
        if column.role in given:
            given[column.role] = column.kind.of_json(given[column.role])
    return given


def prediction(answer: Mapping[str, Any]) -> Prediction:
    """Bring what `Predictor` says of a row into the shape of an answer."""
    prefix = "score: "
    scores = {key.removeprefix(prefix): value for key, value in answer.items() if key.startswith(prefix)}
    return Prediction(
        prediction=answer["prediction"],
        score=answer.get("score"),
        calibrated_score=answer.get("calibrated_score"),
        scores=scores or None,
    )
