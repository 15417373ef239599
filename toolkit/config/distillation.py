"""How a small model learns from a larger one."""

from pydantic import Field

from toolkit.config.settings import Section

SECTION = "distillation"  # of the configuration


class DistillationConfig(Section):
    """What a student learns from its teacher; set by `toolkit distill`."""

    teacher: str | None = Field(None, description="Run whose model is the teacher; none when not given")
    layers: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Layers of `model` that the student keeps, evenly spaced, with the first and the last; all when "
        "not given",
    )
    temperature: float = Field(
        2.0, gt=0, le=100, description="Temperature T of the soft targets; their loss is multiplied by T²"
    )
    soft: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Weight of the Kullback-Leibler divergence between the classes of teacher and student",
    )
    hard: float = Field(0.5, ge=0, le=100, description="Weight of the loss on the labels")
    hidden: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Weight of the cosine distance between the last hidden states; 1 with `layers` and 0 else when "
        "not given",
    )
    relations: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight of the divergence between the relations of queries, keys and values in the last layers",
    )
    unlabelled: str | None = Field(None, description="File or folder of further rows, which the teacher labels")

    @property
    def hidden_weight(self) -> float:
        """The weight of hidden states, settled."""
        if self.hidden is not None:
            return self.hidden
        return 1.0 if self.layers is not None else 0.0
