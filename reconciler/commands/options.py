"""What commands share: their options, and reading the settings."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reconciler.desired.desired import Desired
    from reconciler.settings import Settings

Config = Annotated[Path | None, typer.Option("--config", help="The host's settings; /etc/shipstone/config.toml where it is there.")]
Source = Annotated[Path | None, typer.Option("--source", help="Work on a plain folder instead of the git repository.")]


class Output(StrEnum):
    """How a finding is printed."""

    text = "text"
    json = "json"


Out = Annotated[Output, typer.Option("--output", help="text or json.")]


def settings_of(config: Path | None, source: Path | None) -> "Settings":
    """The host's settings, and the folder that --source names. From here on root works as the owner of the state folder."""
    from reconciler.settings import load_settings
    from reconciler.world.owner import become_owner

    settings = load_settings(config, {"source": {"directory": str(source)}} if source else {})
    become_owner(Path(settings.state.dir))
    return settings


def compiled(config: Path | None, source: Path | None) -> "Desired":
    """The desired state as it is now; no engine is asked."""
    from reconciler import wiring
    from reconciler.desired.compile import Compiler

    settings = settings_of(config, source)
    return Compiler(wiring.policy_of(settings)).compile(wiring.source_of(settings).fetch())


def print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
