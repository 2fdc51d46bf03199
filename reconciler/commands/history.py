"""Commands that look back: what happened, and what containers said."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.commands.options import Config, Out, Output, print_json, settings_of
from reconciler.errors import ShipstoneError

if TYPE_CHECKING:
    from reconciler.planning.observed import Container

looks_back = typer.Typer()

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
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what they say from now on, until Ctrl-C.")] = False,
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
        for text in _follow(settings.engine.socket, mine, lines):
            typer.echo(text)
        return
    for c in mine:
        for text in engine.logs(c.id, lines=lines):
            typer.echo(f"{c.name} | {text}")


def _follow(socket: str, containers: "list[Container]", lines: int) -> Iterator[str]:
    """Lines of all of them as they come, until the last one ends."""
    import queue
    import threading

    from reconciler.world.docker_logs import follow

    found: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def listen(c: "Container") -> None:
        try:
            for text in follow(socket, c.id, lines):
                found.put(f"{c.name} | {text}")
        except ShipstoneError as error:
            found.put(str(error))
        found.put(None)

    for c in containers:
        threading.Thread(target=listen, args=(c,), daemon=True).start()
    ended = 0
    while ended < len(containers):
        text = found.get()
        if text is None:
            ended += 1
        else:
            yield text
