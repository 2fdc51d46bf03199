"""Commands for whoever sets up a host."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.commands.options import Config, Source, compiled, print_json, settings_of
from reconciler.errors import ShipstoneError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.desired.desired import Desired
    from reconciler.world.host_setup import Piece

host = typer.Typer()

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def _with_domain(desired: "Desired") -> "Desired":
    if not desired.domain:
        raise ShipstoneError(f"cannot tell the base domain: {desired.problems[0]}")
    return desired


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
    typer.echo(hosts_block(settings.instance, settings.files.addresses, _with_domain(compiled(config, source)).hosts()), nl=False)


@host.command("traefik-toml")
def traefik_toml_command(config: Config = None, source: Source = None) -> None:
    """Print Traefik's static configuration."""
    from reconciler import wiring
    from reconciler.desired.traefik_toml import traefik_toml

    domain = _with_domain(compiled(config, source)).domain
    typer.echo(traefik_toml(wiring.traefik_static(settings_of(config, source), domain)), nl=False)


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
    from reconciler.doctor import examine

    settings = settings_of(config, source)
    console = Console()
    wrong = False
    engine, traefik, certificate = wiring.engine_of(settings), wiring.traefik_api(settings), wiring.default_certificate(settings)
    for finding in examine(settings, engine, traefik, certificate, lambda: compiled(config, source)):
        console.finding(finding.what, finding.verdict, finding.found, finding.mend)
        wrong = wrong or finding.verdict == "error"
    raise typer.Exit(1 if wrong else 0)


@host.command("notify-test")
def notify_test(config: Config = None) -> None:
    """Send a message to whom [notify] names.

    The heartbeat is called too.

    Exit 1 if one does not take it.
    """
    from reconciler import wiring
    from reconciler.world.notify import Notice, call

    settings = settings_of(config, None)
    if not settings.notify.urls and not settings.notify.heartbeat:
        raise ShipstoneError("cannot send a message: [notify] has neither urls nor a heartbeat. Set one of them.")
    services = wiring.services_of(settings)
    notice = Notice(f"{wiring.where_of(settings)}: a test", "Messages of Shipstone come to you.", "info")
    found = {name: services.send(number, notice) for number, name in enumerate(services.names)}
    if settings.notify.heartbeat:
        found["heartbeat"] = call(settings.notify.heartbeat.get_secret_value())
    for name, why in found.items():
        typer.echo(f"{name}: not taken: {why}" if why else f"{name}: sent")
    raise typer.Exit(1 if any(found.values()) else 0)


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


@host.command()
def install(dry_run: DryRun = False) -> None:
    """Set this host up: user, folders, first settings, units.

    Run again, it mends what is missing. Settings that are there are never written.
    """
    from reconciler import install as installation
    from reconciler.settings import DEFAULT, load_settings

    settings, command = load_settings(None), installation.program()
    installation.refuse(settings, command, dry_run=dry_run)
    count = _carried_out(installation.pieces(settings, command), dry_run)
    if dry_run or not count:
        typer.echo(_left(count, "installed already"))
    else:
        named = settings.source.url or settings.source.directory
        typer.echo("next: " + ("" if named else f"name the repository in {DEFAULT}, then ") + "`systemctl restart shipstone`")


@host.command()
def uninstall(
    dry_run: DryRun = False,
    purge: Annotated[bool, typer.Option("--purge", help="Remove state, settings, user and host names too; no site may be left.")] = False,
) -> None:
    """Take the units away again, and keep all data.

    Sites go on running: their containers belong to Docker. What is left is listed, each with the command that removes it.
    """
    from reconciler import install as installation
    from reconciler import wiring
    from reconciler.settings import load_settings

    installation.need_root("uninstall", dry_run=dry_run)
    settings, command = load_settings(None, only=("instance", "engine", "traefik", "files")), installation.program()
    wanted = installation.removals(command)
    if purge:
        installation.refuse_purge(settings.instance, wiring.containers_of(settings))
        wanted += installation.purges(settings)
    count = _carried_out(wanted, dry_run)
    for row in () if purge and dry_run else installation.left(settings, command):
        typer.echo(f"kept   {row.what:<9} {row.target:<46} {row.command}")
    if dry_run or not count:
        typer.echo(_left(count, "not installed"))


def _carried_out(wanted: "Iterable[Piece]", dry_run: bool) -> int:
    """A line for each piece; how many were, or are, to be done."""
    from reconciler.install import carry_out

    count = 0
    for done in carry_out(wanted, dry_run=dry_run):
        count += bool(done.due)
        verdict = ("to do" if dry_run else "done") if done.due else "as is"
        typer.echo(f"{verdict:<6} {done.piece.kind:<9} {done.piece.target:<46} {done.due}".rstrip())
    return count


def _left(count: int, nothing: str) -> str:
    return f"{count} to do: run it without --dry-run" if count else f"nothing to do: {nothing}"


@host.command("hosts-write")
def hosts_write(
    config: Config = None, to: Annotated[Path, typer.Option(help="The hosts file whose marked block is written.")] = Path("/etc/hosts")
) -> None:
    """Take host names that the daemon left into /etc/hosts.

    Each line is checked. shipstone-hosts.service runs this as root.

    Exit 1 if a name is left out, because this host has it itself.
    """
    from reconciler.hosts_write import write_hosts
    from reconciler.settings import load_settings

    settings = load_settings(config, only=("instance", "files"))
    if not settings.files.hosts or Path(settings.files.hosts).resolve() == to.resolve():
        typer.echo(f"nothing to do: [files] hosts names no other file than {to}")
        return
    written = write_hosts(Path(settings.files.hosts), to, settings.instance, settings.files.addresses)
    typer.echo(f"{to}: {'written' if written.changed else 'as it should be'}")
    if written.left_out:
        names = ", ".join(written.left_out)
        raise ShipstoneError(f"cannot take {names} into {to}: this host names it itself. Give the site another host name.")
