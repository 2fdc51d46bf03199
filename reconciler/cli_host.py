"""Commands for whoever sets up a host."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli_options import Config, Source, compiled, print_json, settings_of
from reconciler.errors import ShipstoneError

if TYPE_CHECKING:
    from reconciler.desired.desired import Desired

host = typer.Typer()


@host.command()
def schema() -> None:
    """Print the JSON Schema of a site file, for editors."""
    from reconciler.desired.schema import site_schema

    print_json(site_schema())


@host.command()
def hosts(config: Config = None, source: Source = None) -> None:
    """Print the hosts entries of the domain and its sites."""
    from reconciler.desired.hosts_file import hosts_block

    settings = settings_of(config, source)
    typer.echo(hosts_block(settings.instance, settings.files.addresses, compiled(config, source).hosts()), nl=False)


@host.command("traefik-toml")
def traefik_toml_command(config: Config = None, source: Source = None) -> None:
    """Print Traefik's static configuration."""
    from reconciler import wiring
    from reconciler.desired.traefik_toml import traefik_toml

    typer.echo(traefik_toml(wiring.traefik_static(settings_of(config, source), compiled(config, source).domain)), nl=False)


@host.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where; made if missing.")] = Path("desired-state"),
    domain: Annotated[str, typer.Option(help="The base domain of the sites.")] = "shipstone.local",
) -> None:
    """Make a desired-state folder that works at once."""
    from reconciler.desired.names import host_name
    from reconciler.desired.refusal import Refusal
    from reconciler.desired.schema import site_schema
    from reconciler.initial import initial_files, write_initial

    try:
        name = host_name(domain)
    except Refusal as error:
        raise ShipstoneError(f"cannot use the domain: {error.message}") from None
    write_initial(folder, initial_files(name, json.dumps(site_schema(), indent=2) + "\n"))
    typer.echo(f"made {folder}: one site, hello.{name}")
    typer.echo(f"check it:    shipstone validate --source {folder}")
    typer.echo(f"bring it up: shipstone apply --source {folder}")


@host.command()
def doctor(config: Config = None, source: Source = None) -> None:
    """Say what this host lacks, and how to mend it.

    Exit 1 if something is missing.
    """
    from reconciler import wiring
    from reconciler.console import Console
    from reconciler.desired.compile import Compiler
    from reconciler.doctor import examine

    settings = settings_of(config, source)

    def fetch() -> "Desired":
        return Compiler(wiring.policy_of(settings)).compile(wiring.source_of(settings).fetch())

    console = Console()
    wrong = False
    for finding in examine(settings, wiring.engine_of(settings), wiring.traefik_api(settings), fetch):
        console.finding(finding.what, finding.verdict, finding.found, finding.mend)
        wrong = wrong or finding.verdict == "error"
    raise typer.Exit(1 if wrong else 0)


@host.command("traefik-restart")
def traefik_restart(config: Config = None) -> None:
    """Give the managed Traefik the present traefik.toml.

    It is replaced; nothing is served meanwhile.
    """
    from reconciler import wiring

    settings = settings_of(config, None)
    proxy = wiring.proxy_of(settings, wiring.engine_of(settings))
    if proxy is None:
        raise ShipstoneError("cannot restart Traefik: it is not run by Shipstone ([traefik] manage = false). Restart it yourself.")
    proxy.restart()
    typer.echo("Traefik was replaced")
