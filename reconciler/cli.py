"""The command line. Heavy modules are imported where they are used, so that `shipstone --help` is quick."""

import json
import logging
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from reconciler.cli_intents import Config, Source, intents, settings_of
from reconciler.errors import ShipstoneError

if TYPE_CHECKING:
    from reconciler.desired.desired import Desired

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class Output(StrEnum):
    """How a finding is printed."""

    text = "text"
    json = "json"


Out = Annotated[Output, typer.Option("--output", help="text or json.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"shipstone {version('shipstone')}")
        raise typer.Exit


@app.callback()
def shipstone(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """GitOps for a Docker host behind Traefik: what the repository says is what runs, and no request is lost on the way."""


@app.command()
def run(config: Config = None, source: Source = None) -> None:
    """Keep the host as the repository says, until stopped."""
    import signal

    from reconciler import wiring
    from reconciler.console import configure_log, log_outcome
    from reconciler.daemon import Daemon, aside
    from reconciler.world.lock import InstanceLock

    settings = settings_of(config, source)
    configure_log()
    paths = wiring.paths_of(settings)
    with InstanceLock(paths.lock, settings.instance):
        daemon: Daemon | None = None

        def told(outcome: Any) -> None:
            log_outcome(outcome)
            if daemon is not None:
                daemon.wake()

        reconciler = wiring.reconciler_of(settings, told)
        daemon = Daemon(reconciler, wiring.source_of(settings), settings.source.poll, lambda r: wiring.write_generated(settings, r))
        for number, job in ((signal.SIGTERM, daemon.stop), (signal.SIGINT, daemon.stop), (signal.SIGHUP, daemon.look)):
            signal.signal(number, aside(job))
        daemon.run()


@app.command()
def apply(
    config: Config = None,
    source: Source = None,
    timeout: Annotated[float, typer.Option(help="Seconds after which it stops trying.")] = 600.0,
    sites: Annotated[list[str] | None, typer.Option("--site", help="Only this site; may be repeated. Others are left untouched.")] = None,
) -> None:
    """Make the host as the repository says, once.

    Exit 0 when it is so, 1 when something failed or is held.
    """
    from reconciler import report, wiring
    from reconciler.console import Console, configure_log
    from reconciler.converge import Progress, converge
    from reconciler.world.lock import InstanceLock

    settings = settings_of(config, source)
    console = Console()
    configure_log(logging.WARNING)
    with InstanceLock(wiring.paths_of(settings).lock, settings.instance), console.live() as show:
        progress = Progress(console.line, show)
        reconciler = wiring.reconciler_of(settings, progress.told)
        desired = reconciler.take(wiring.source_of(settings).fetch())
        console.problems(desired.problems)
        if sites:
            reconciler.choose(sites)
        wiring.write_generated(settings, reconciler)
        result = converge(reconciler, progress, timeout)
        reconciler.close(5.0)
    for site, why in sorted(result.failed.items()):
        console.error(f"{site}: {why}")
    console.notices(report.notices(result.plan, desired))
    right = result.total - len(result.failed)
    console.line(f"{right} of {result.total} sites as {desired.revision[:12]} says, after {result.seconds:.1f} s")
    raise typer.Exit(1 if result.failed or desired.notices else 0)


@app.command()
def plan(config: Config = None, source: Source = None, output: Out = Output.text) -> None:
    """Say what would be done.

    Exit 0 nothing, 2 differences, 1 an error or a held site.
    """
    _finding(config, source, output, drift_only=False)


@app.command()
def drift(config: Config = None, source: Source = None, output: Out = Output.text) -> None:
    """Say what someone changed by hand.

    Exit 0 nothing, 2 drift, 1 an error or a held site.
    """
    _finding(config, source, output, drift_only=True)


@app.command()
def status(config: Config = None, source: Source = None, output: Out = Output.text) -> None:
    """Say how every site stands."""
    import time

    from reconciler import report, wiring
    from reconciler.console import Console

    settings = settings_of(config, source)
    reconciler = wiring.reconciler_of(settings)
    desired = reconciler.take(wiring.source_of(settings).fetch())
    found = reconciler.plan()
    if output is Output.json:
        _print_json(report.status_json(found, desired, time.time()))
    else:
        Console().status(report.status_rows(found), desired.revision, report.notices(found, desired))


@app.command()
def validate(config: Config = None, source: Source = None, output: Out = Output.text) -> None:
    """Check the desired state.

    Needs no engine. Exit 1 if there are errors.
    """
    from reconciler import report
    from reconciler.console import Console
    from reconciler.desired.problem import errors

    desired = _compiled(config, source)
    if output is Output.json:
        _print_json(report.problems_json(desired.problems))
    else:
        Console().problems(desired.problems)
        Console().notices(desired.notices)
        if not desired.problems:
            count = len(desired.sites)
            typer.echo("1 site is right" if count == 1 else f"{count} sites are right")
    raise typer.Exit(1 if errors(desired.problems) else 0)


@app.command()
def render(
    config: Config = None, source: Source = None, site: Annotated[str | None, typer.Argument(help="Only this site.")] = None
) -> None:
    """Print container specs and labels as JSON.

    What the desired state compiles to, for all sites or one.
    """
    from reconciler import wiring
    from reconciler.planning.labels import container_labels

    settings = settings_of(config, source)
    desired = _compiled(config, source)
    names = wiring.names_of(settings)
    rows = {}
    for name, one in sorted(desired.sites.items()):
        if site in (None, name):
            services = {
                s.name: container_labels(names.instance, names.network, names.entry_of(one.route), one, s, 1, s.spec.image)
                for s in one.services
            }
            rows[name] = {"release": one.release, "hosts": list(one.route.hosts), "services": services}
    if site is not None and not rows:
        raise ShipstoneError(f"cannot render {site}: there is no such site. `shipstone render` lists all of them.")
    _print_json(rows)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a site file, for editors."""
    from reconciler.desired.schema import site_schema

    _print_json(site_schema())


@app.command()
def hosts(config: Config = None, source: Source = None) -> None:
    """Print the hosts entries of the domain and its sites."""
    from reconciler.desired.hosts_file import hosts_block

    settings = settings_of(config, source)
    typer.echo(hosts_block(settings.instance, settings.files.addresses, _compiled(config, source).hosts()), nl=False)


@app.command("traefik-toml")
def traefik_toml_command(config: Config = None, source: Source = None) -> None:
    """Print Traefik's static configuration."""
    from reconciler import wiring
    from reconciler.desired.traefik_toml import traefik_toml

    typer.echo(traefik_toml(wiring.traefik_static(settings_of(config, source), _compiled(config, source).domain)), nl=False)


@app.command()
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


@app.command()
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


@app.command("traefik-restart")
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


app.registered_commands += intents.registered_commands


def main() -> NoReturn:
    """The console script: errors are one line, never a traceback."""
    code = 1
    try:
        code = app(standalone_mode=False) or 0
    except ShipstoneError as error:
        print(error, file=sys.stderr)
    except typer.Exit as done:
        code = done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except Exception as error:
        if hasattr(error, "show"):
            error.show()  # what was typed is wrong; 2 would say that there are differences
        elif os.environ.get("SHIPSTONE_DEBUG"):
            raise
        else:
            print(f"cannot go on: {type(error).__name__}: {error}. Set SHIPSTONE_DEBUG=1 to see where, and report it.", file=sys.stderr)
    sys.stdout.flush()
    raise SystemExit(code)


def _compiled(config: Path | None, source: Path | None) -> "Desired":
    from reconciler import wiring
    from reconciler.desired.compile import Compiler

    settings = settings_of(config, source)
    return Compiler(wiring.policy_of(settings)).compile(wiring.source_of(settings).fetch())


def _finding(config: Path | None, source: Path | None, output: Output, *, drift_only: bool) -> NoReturn:
    from reconciler import report, wiring

    settings = settings_of(config, source)
    reconciler = wiring.reconciler_of(settings)
    desired = reconciler.take(wiring.source_of(settings).fetch())
    found = reconciler.plan()
    if output is Output.json:
        causes = frozenset({"drift"}) if drift_only else frozenset({"commit", "drift"})
        _print_json(report.plan_json(found, desired, causes=causes))
    else:
        for row in report.drift_text(found, desired) if drift_only else report.plan_text(found, desired):
            typer.echo(row)
    raise typer.Exit(report.plan_exit(found, desired, drift_only=drift_only))


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
