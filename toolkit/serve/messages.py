"""Messages of the service: requests for the model's recipe, responses, and errors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    TypeAdapter,
    ValidationError,
    WrapValidator,
    create_model,
)

from toolkit.serve.limits import Limits
from toolkit.tasks.task import Column

CLOSED = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """An error of a request, or of one of its inputs: the problem and the fix."""

    problem: str
    fix: str
    id: str | None = Field(None, description="Identifier of the cause; not every error has one")


class Prediction(BaseModel):
    """The prediction of one input; keys without a value are left out."""

    prediction: JsonValue = Field(
        description="The class, the classes, the number, the generated text, a class for each word, or what else; null "
        "where the model abstains"
    )
    score: float | None = Field(None, description="Probability of the prediction")
    calibrated_score: float | None = Field(
        None, description="Probability of the prediction after temperature scaling, fitted on validation rows"
    )
    scores: dict[str, float] | None = Field(None, description="Probability of each class")
    columns: dict[str, JsonValue] | None = Field(
        None, description="What else there is: the scores of the classes, the bounds of a number, entities"
    )


class Predictions(BaseModel):
    """The predictions, in the order of the inputs; an invalid input has a problem instead."""

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
    """The method of an explanation."""

    name: str
    title: str
    about: str


class Explanation(BaseModel):
    """The explanation of one prediction."""

    prediction: str | float = Field(description="The class that is explained, or the number")
    score: float | None = Field(None, description="Probability of the class")
    predicted: bool = Field(True, description="Whether the class is predicted; false for another one that was wanted")
    method: Method
    signed: bool = Field(description="Whether a negative score opposes the class, or lowers the number")
    scores: list[float] = Field(description="Importance of each word or patch for the prediction")
    words: list[str] | None = Field(None, description="The words of a text, or of a pair of texts")
    sources: list[int] | None = Field(None, description="Number of each word's text of a pair, from 0")
    grid: list[int] | None = Field(None, description="Rows and columns of a picture's patches, row by row")
    overlay: str | None = Field(None, description="The picture with its scores laid over it, as a data URL")
    belief: str = Field(description="Measured reliability of this explanation method for this model")


@dataclass(frozen=True)
class ServedModel:
    """A model that answers requests.

    Attributes:
        model: Name of the model.
        task: Its recipe.
        labels: Names of the classes; empty without classes.
        device: Where it computes.
        calibrated: Whether probabilities are calibrated.
        explains: Whether predictions can be explained.
    """

    model: str
    task: str
    labels: list[str]
    device: str
    calibrated: bool
    explains: bool


@dataclass(frozen=True, kw_only=True)
class Health(ServedModel):
    """The state of the service and its model."""

    status: Literal["ok"] = "ok"
    waiting: Annotated[int, Field(description="Number of waiting inputs")]
    version: str


class Asked(BaseModel):
    """A column of an input."""

    name: str
    kind: str
    required: bool


@dataclass(frozen=True, kw_only=True)
class Info(ServedModel):
    """The model, the versions of what runs it, and the limits of a request."""

    hub_task: Annotated[str | None, Field(description="The Hub's name of the task, whose clients `POST /` answers")]
    inputs: list[Asked]
    max_error: Annotated[
        float | None, Field(description="Share of the given predictions that may be wrong; others are withheld")
    ]
    sets: Annotated[float | None, Field(description="Share of the inputs whose set of classes contains the true class")]
    max_length: Annotated[int | None, Field(description="Maximum number of tokens; longer inputs are cut")]
    versions: dict[str, str]
    limits: Limits


class Parameters(BaseModel):
    """How predictions are returned."""

    model_config = CLOSED


class Ranked(Parameters):
    """How predictions of classes are returned."""

    top_k: int | None = Field(None, ge=1, description="How many of the most probable classes are returned")


@dataclass(frozen=True)
class Requests:
    """The types of requests.

    Attributes:
        ask: For predictions, of one or several inputs.
        why: For an explanation.
        line: One line of a request in NDJSON: an input that may be `Unfit`.
    """

    ask: type[BaseModel]
    why: type[BaseModel]
    line: TypeAdapter[Any]


def request_types(inputs: Sequence[Column], limits: Limits, parameters: type[Parameters] = Parameters) -> Requests:
    """Return the types of requests for a recipe: a field for each input column.

    With a single column, its bare value may replace an input. Of several inputs for /predict, one that does not fit
    is `Unfit`, and the others are predicted.
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
    fitting: Any = Annotated[item_type, WrapValidator(_or_unfit)]
    several: Any = Annotated[list[fitting], Field(min_length=1, max_length=limits.inputs), Tag("several")]
    any_number: Any = Union[several, Annotated[item_type, Tag("one")]]  # noqa: UP007
    which = Discriminator(lambda given: "several" if isinstance(given, list) else "one")
    asked: Any = Annotated[any_number, which]
    chosen: Any = parameters | None
    ask = create_model(
        "Ask",
        __config__=CLOSED,
        inputs=(asked, Field(description="Inputs to predict, or one")),
        parameters=(chosen, Field(None, description="How predictions are returned")),
    )
    why = create_model(
        "Why",
        __config__=CLOSED,
        input=(item_type, Field(description="Input to predict")),
        method=(str | None, Field(None, description="Explanation method; by default the most faithful measured one")),
        label=(str | None, Field(None, description="Class to explain; by default the most probable one predicted")),
    )
    return Requests(ask, why, TypeAdapter(fitting))


def values(item: Any, inputs: Sequence[Column]) -> dict[str, Any]:
    """Convert an input of a request to role → value.

    Raises:
        ValueError: A file is not written in base64.
    """
    if isinstance(item, BaseModel):
        given = {role: value for role, value in item.model_dump().items() if value is not None}
    else:
        given = {next(column.role for column in inputs if column.required): item}
    for column in inputs:
        if column.role in given:
            given[column.role] = column.kind.of_json(given[column.role])
    return given


_PREFIX = "score: "
_KNOWN = ("prediction", "score", "calibrated_score", "problem")


def prediction(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a row that `Predictor` predicted to a `Prediction`, as JSON."""
    scores = {key.removeprefix(_PREFIX): value for key, value in answer.items() if key.startswith(_PREFIX)}
    own = {key: value for key, value in answer.items() if key not in _KNOWN and not key.startswith(_PREFIX)}
    further = {
        "score": answer.get("score"),
        "calibrated_score": answer.get("calibrated_score"),
        "scores": scores or None,
        "columns": own or None,
    }
    return {
        "prediction": answer["prediction"],
        **{key: value for key, value in further.items() if value is not None},
    }
