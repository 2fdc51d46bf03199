"""The command line. Heavy modules are imported where they are used, so that `shipstone --help` is quick."""

import contextlib
import gc
import logging
import os
import sys
from typing import Annotated, NoReturn

import typer

from reconciler.commands.findings import findings
from reconciler.commands.history import looks_back
from reconciler.commands.host import host
from reconciler.commands.intents import intents
from reconciler.commands.options import Config, Source, settings_of
from reconciler.commands.plan import plans
from reconciler.commands.secrets import secrets
from reconciler.errors import ShipstoneError, printable

OBJECTS = 50_000
"""New ones after which Python looks for garbage: loading makes twice as many that stay, and a look after every 700 is a tenth of it."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


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
    from reconciler.console import configure_log
    from reconciler.daemon import aside
    from reconciler.service import service
    from reconciler.world.lock import InstanceLock

    settings = settings_of(config, source)
    configure_log()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # who has the lock is told by it of a word of a person
    with InstanceLock(wiring.paths_of(settings).lock, settings.instance), service(settings) as daemon:
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
    import signal

    from reconciler import wiring
    from reconciler.console import Console, configure_log
    from reconciler.converge import Progress, converge
    from reconciler.reports import findings as report
    from reconciler.world.lock import InstanceLock

    settings = settings_of(config, source)
    console = Console()
    configure_log(logging.WARNING)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # who has the lock is told by it of a word of a person; the next pass looks anyway
    with InstanceLock(wiring.paths_of(settings).lock, settings.instance), console.live() as show:
        progress = Progress(console.line, show)
        store = wiring.store_of(settings)
        reconciler = wiring.reconciler_of(settings, (wiring.history_of(settings, store),), store=store)
        try:
            revision = wiring.source_of(settings).fetch()
            if not sites:
                reconciler.prepare()
            desired = reconciler.take(revision)
            console.problems(desired.problems)
            if sites:
                reconciler.choose(sites)
            wiring.write_generated(settings, reconciler)
            result = converge(reconciler, progress, timeout)
            wiring.write_generated(settings, reconciler)  # without the names of what is gone by now
        finally:
            reconciler.close(5.0)
    for site, why in sorted(result.failed.items()):
        console.error(f"{site}: {why}")
    console.notices(report.notices(result.plan, desired))
    right = result.total - len(result.failed)
    console.line(f"{right} of {result.total} sites as {desired.revision[:12]} says, after {result.seconds:.1f} s")
    raise typer.Exit(1 if result.failed or desired.notices else 0)


for group in (plans, findings, looks_back, intents, host):
    app.registered_commands += group.registered_commands
app.add_typer(secrets, name="secrets")


def main() -> NoReturn:
    """The console script: errors are one line, never a traceback."""
    gc.set_threshold(OBJECTS)
    code = 1
    try:
        code = app(standalone_mode=False) or 0
    except ShipstoneError as error:
        print(printable(str(error)), file=sys.stderr)
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
            print(
                f"cannot go on: {type(error).__name__}: {printable(str(error))}. Set SHIPSTONE_DEBUG=1 to see where, and report it.",
                file=sys.stderr,
            )
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # whoever read it may have gone
            stream.flush()
    os._exit(code)  # to take the interpreter apart first costs 0.2 s, and gives nothing back
