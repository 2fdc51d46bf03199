"""Commands that look back: what happened, and what containers said."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

import typer

from reconciler.commands.options import Config, Out, Output, print_json, settings_of
from reconciler.errors import ShipstoneError

looks_back = typer.Typer()

AHEAD = 1000
"""Lines of containers that are held for a terminal, or a pipe, that is slower."""

Limit = Annotated[int, typer.Option("--limit", min=1, help="So many rows at the most, the newest ones.")]
SiteOrAll = Annotated[str | None, typer.Argument(help="Only this site.")]
Lines = Annotated[int, typer.Option("--lines", min=1, help="So many of the last lines of each container.")]


@looks_back.command()
def history(site: SiteOrAll = None, limit: Limit = 50, config: Config = None, output: Out = Output.text) -> None:
    """Say what happened.

    Revisions, plans, steps, failures, drift, and what people said; the newest last, in local time.
    """
    import contextlib

    from reconciler import wiring
    from reconciler.console import Console
    from reconciler.planning.events import newest_first

    with contextlib.closing(wiring.store_of(settings_of(config, None))) as store:
        kept = store.history
        rows = newest_first(kept.events(site, limit), kept.drifts(site, limit), limit)
    if output is Output.json:
        print_json({"events": [row.as_json() for row in rows]})
    else:
        Console().history(rows[::-1])


@looks_back.command()
def logs(
    site: Annotated[str, typer.Argument(help="The site.")],
    lines: Lines = 50,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what they say from now on, until the last of them ends, or Ctrl-C.")
    ] = False,
    config: Config = None,
) -> None:
    """Print what a site's containers say.

    Of all its replicas, each line with the container's name; and the last lines of a release that failed.
    """
    import contextlib

    from reconciler import wiring

    settings = settings_of(config, None)
    with contextlib.closing(wiring.store_of(settings)) as store:
        failed = store.failed().get(site)
    engine = wiring.engine_of(settings)
    every = engine.containers()
    mine = sorted((c for c in every if c.site == site), key=lambda c: c.name)
    if not mine and failed is None:
        there = ", ".join(sorted({c.site for c in every})) or "none"
        raise ShipstoneError(f"cannot find containers of {site}. Sites that have some: {there}.")
    if failed is not None:
        reason, *said = failed.reason.split("\n")
        typer.echo(f"release {failed.release} failed: {reason}")
        for text in said:
            typer.echo(f"{failed.release} | {text}")
    if follow:
        from reconciler.world import docker_logs

        for text in as_they_come({c.name: docker_logs.follow(settings.engine.socket, c.id, lines) for c in mine}):
            typer.echo(text)
        return
    for c in mine:
        for text in engine.logs(c.id, lines=lines):
            typer.echo(f"{c.name} | {text}")


def as_they_come(streams: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Lines of all of them, each with the name of its stream, until the last one ends. Who says more than is read waits."""
    import queue
    import threading

    found: queue.Queue[str | None] = queue.Queue(AHEAD)

    def listen(name: str, stream: Iterable[str]) -> None:
        try:
            for text in stream:
                found.put(f"{name} | {text}")
        except ShipstoneError as error:
            found.put(str(error))
        found.put(None)

    for name, stream in streams.items():
        threading.Thread(target=listen, args=(name, stream), daemon=True).start()
    ended = 0
    while ended < len(streams):
        text = found.get()
        if text is None:
            ended += 1
        else:
            yield text
