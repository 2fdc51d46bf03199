"""Commands that look and change nothing."""

import contextlib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.commands.options import Config, Out, Output, Source, compiled, print_json, settings_of
from reconciler.errors import ShipstoneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.desired.desired import Desired
    from reconciler.desired.revision import Revision
    from reconciler.planning.plan import Plan
    from reconciler.reconcile import Reconciler
    from reconciler.settings import Settings

findings = typer.Typer()

LOOK, BREATH = 2.0, 0.2
"""`status --watch` looks again after so many seconds at the latest, and not sooner than that."""


class Form(StrEnum):
    """How a report is printed."""

    text = "text"
    json = "json"
    markdown = "markdown"
    html = "html"


@findings.command()
def drift(
    config: Config = None,
    source: Source = None,
    output: Annotated[Form, typer.Option("--output", help="text, json, markdown or html.")] = Form.text,
) -> None:
    """Say what someone changed by hand.

    Exit 0 nothing, 2 drift, 1 an error or a held site.
    """
    import time

    from reconciler.reports import drift as drift_report
    from reconciler.reports import findings as report

    found, desired = _planned(config, source)
    told = drift_report.drift_report(found, desired, time.time())
    if output is Form.json:
        print_json(report.plan_json(found, desired, causes=frozenset({"drift"})))
    elif output is Form.markdown:
        typer.echo(drift_report.as_markdown(told), nl=False)
    elif output is Form.html:
        typer.echo(drift_report.as_html(told))
    else:
        typer.echo("\n".join(drift_report.as_text(told)))
    raise typer.Exit(report.plan_exit(found, desired, drift_only=True))


@findings.command("report")
def report_command(config: Config = None) -> None:
    """Say what drifted, as the daily timer does.

    Exit 0 whatever it finds: only what cannot be found out is a failure.
    """
    import time

    from reconciler.reports import drift as drift_report

    found, desired = _planned(config, None)
    typer.echo("\n".join(drift_report.as_text(drift_report.drift_report(found, desired, time.time()))))


@findings.command()
def status(
    config: Config = None,
    source: Source = None,
    output: Out = Output.text,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it as it changes, until Ctrl-C.")] = False,
) -> None:
    """Say how every site stands."""
    import time

    from reconciler.console import Console
    from reconciler.reports import findings as report

    if watch and output is not Output.text:
        raise ShipstoneError("cannot watch as JSON: --watch shows text, for people. Ask for --output json as often as you need it.")
    if watch:
        return _watch(settings_of(config, source))
    found, desired = _planned(config, source)
    if output is Output.json:
        print_json(report.status_json(found.sites, desired, time.time(), report.notices(found, desired)))
    else:
        Console().status(report.status_rows(found), desired.revision, report.notices(found, desired))
    return None


@findings.command()
def validate(config: Config = None, source: Source = None, output: Out = Output.text) -> None:
    """Check the desired state.

    Needs no engine. Exit 1 if there are errors.
    """
    from reconciler.console import Console
    from reconciler.desired.problem import errors
    from reconciler.reports import findings as report

    desired = compiled(config, source)
    if output is Output.json:
        print_json(report.problems_json(desired.problems))
    else:
        Console().problems(desired.problems)
        Console().notices(desired.notices)
        if not desired.problems:
            count = len(desired.sites)
            typer.echo("1 site is right" if count == 1 else f"{count} sites are right")
    raise typer.Exit(1 if errors(desired.problems) else 0)


@findings.command()
def render(
    config: Config = None, source: Source = None, site: Annotated[str | None, typer.Argument(help="Only this site.")] = None
) -> None:
    """Print container specs and labels as JSON.

    What the desired state compiles to, for all sites or one.
    """
    from reconciler import wiring
    from reconciler.planning.labels import container_labels

    settings = settings_of(config, source)
    desired = compiled(config, source)
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
    print_json(rows)


def _watch(settings: "Settings") -> None:
    """Until Ctrl-C."""
    import logging

    from reconciler import wiring
    from reconciler.console import configure_log

    configure_log(logging.ERROR)  # its lines would stand across the picture
    with wiring.looking(settings) as reconciler:
        look_on(reconciler, wiring.source_of(settings).fetch, settings.source.poll)


def look_on(reconciler: "Reconciler", fetch: "Callable[[], Revision]", poll: float) -> None:
    """Looks again when the engine says that something happened, and every few seconds; asks the source as often as the daemon does, in a
    thread of its own: it may hang. Whichever is away for a while is said below what was seen last."""
    import math
    import threading
    import time
    from concurrent.futures import Future, ThreadPoolExecutor

    from reconciler.console import Console
    from reconciler.listening import listen
    from reconciler.reports import findings as report

    wake, never = threading.Event(), threading.Event()
    threading.Thread(target=listen, args=(reconciler.world.engine, wake.set, never), name="events", daemon=True).start()
    aside = ThreadPoolExecutor(1, "fetch")
    coming: Future[Revision] | None = None
    desired, due = reconciler.take(fetch()), time.monotonic() + poll
    found, no_source, no_look = reconciler.plan(), "", ""
    with contextlib.suppress(KeyboardInterrupt), Console().watching() as show:
        while True:
            wake.clear()
            if time.monotonic() > due:
                coming, due = aside.submit(fetch), math.inf
                coming.add_done_callback(lambda _: wake.set())
            if coming is not None and coming.done():
                try:
                    desired, no_source = reconciler.take(coming.result()), ""
                except ShipstoneError as error:
                    no_source = str(error)
                coming, due = None, time.monotonic() + poll
            try:
                found, no_look = reconciler.plan(), ""
            except ShipstoneError as error:
                no_look = str(error)
            away = tuple(text for text in (no_source, no_look) if text)
            show(report.status_rows(found), desired.revision, (*away, *report.notices(found, desired)))
            wake.wait(LOOK)
            never.wait(BREATH)


def _planned(config: Path | None, source: Path | None) -> "tuple[Plan, Desired]":
    """What is there against what is written, now."""
    from reconciler import wiring

    settings = settings_of(config, source)
    with wiring.looking(settings) as reconciler:
        desired = reconciler.take(wiring.source_of(settings).fetch())
        return reconciler.plan(), desired
