"""Section `figures` of params.yaml; conf/config.yaml says what each key is."""

from typing import Annotated, Literal

from msgspec import Meta

from chimera.interface.settings import Index, Name, Settings


class FigureSettings(Settings, frozen=True):
    """How figures look, and what the animations show; each of these has a default."""

    style: Literal["screen", "paper"] = "screen"
    field: str | None = None
    replicate: Index | None = None
    models: Annotated[tuple[Name, ...], Meta(min_length=1)] | None = None
