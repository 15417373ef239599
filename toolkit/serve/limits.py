"""Limits of requests, so that no client blocks the others."""

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """Limits of the service; requests beyond them are rejected with a 4xx, or with 503 where the service is busy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: int = Field(256, ge=1, description="Maximum number of inputs of a request")
    characters: int = Field(50_000, ge=1, description="Maximum number of characters of a text")
    body_bytes: int = Field(20_000_000, ge=1024, description="Maximum size of a request in bytes")
    bytes_per_second: int = Field(10_000, ge=1, description="Minimum rate at which a request must arrive")
    seconds: float = Field(30.0, gt=0, description="Time limit of a request in seconds")
    head_seconds: float = Field(10.0, gt=0, description="Time limit for the headers of a request in seconds")
    waiting: int = Field(2048, ge=1, description="Maximum number of waiting inputs; beyond it, 503 with Retry-After")
    explanations: int = Field(16, ge=1, description="Maximum number of waiting explanations")
    batch: int = Field(64, ge=1, description="Maximum number of inputs of a batch")
    connections: int = Field(512, ge=1, description="Maximum number of concurrent requests; beyond it, 503")
    sockets: int = Field(1024, ge=1, description="Maximum number of open connections; further ones wait")
