"""What a request may ask for, so that none of them starves the others."""

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """Bounds of the service; what goes beyond them is refused with a 4xx, or a 503 where the machine is too busy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: int = Field(256, ge=1, description="Inputs in one request")
    characters: int = Field(50_000, ge=1, description="Characters of one text")
    body_bytes: int = Field(20_000_000, ge=1024, description="Bytes of one request")
    bytes_per_second: int = Field(10_000, ge=1, description="How slow a caller's line may be")
    seconds: float = Field(30.0, gt=0, description="Seconds after which a request is given up")
    head_seconds: float = Field(10.0, gt=0, description="Seconds in which the head of a request has to arrive")
    waiting: int = Field(2048, ge=1, description="Inputs that may wait; beyond them requests are told to come again")
    explanations: int = Field(16, ge=1, description="Explanations that may wait")
    batch: int = Field(64, ge=1, description="Inputs that are answered together")
    connections: int = Field(512, ge=1, description="Requests at a time; one more is told to come again")
    sockets: int = Field(1024, ge=1, description="Open connections; further ones wait to be taken")
