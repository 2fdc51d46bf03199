"""`plan`: what would be done, against what runs or against an earlier commit."""

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.commands.options import Config, Source, print_json, settings_of

if TYPE_CHECKING:
    from reconciler.desired.desired import Desired
    from reconciler.planning.plan import Plan
    from reconciler.settings import Settings
    from reconciler.world.checkout import Checkout

plans = typer.Typer()


class PlanOutput(StrEnum):
    """How a plan is printed."""

    text = "text"
    json = "json"
    markdown = "markdown"


@dataclass(frozen=True)
class _Planned:
    """`against`: the commit that it is compared with; None: what runs. `words`: the same for people."""

    plan: "Plan"
    desired: "Desired"
    against: str | None
    words: str


@plans.command()
def plan(
    config: Config = None,
    source: Source = None,
    output: Annotated[PlanOutput, typer.Option("--output", help="text, json, or markdown for a pull request.")] = PlanOutput.text,
    against: Annotated[str | None, typer.Option("--against", help="Compare with this commit or branch; needs no engine.")] = None,
) -> None:
    """Say what would be done.

    Exit 0 nothing, 2 differences, 1 an error or a held site.
    """
    from reconciler.reports import findings as report
    from reconciler.reports.plan import markdown

    planned = _planned(config, source, against)
    if output is PlanOutput.json:
        more = {} if planned.against is None else {"against": planned.against}
        print_json({**report.plan_json(planned.plan, planned.desired), **more})
    elif output is PlanOutput.markdown:
        typer.echo(markdown(planned.plan, planned.desired, planned.words))
    else:
        rows = report.plan_text(planned.plan, planned.desired)
        typer.echo("\n".join(rows if planned.against is None else [f"compared with {planned.words}", *rows]))
    raise typer.Exit(report.plan_exit(planned.plan, planned.desired))


def _planned(config: Path | None, source: Path | None, against: str | None) -> _Planned:
    """Against what runs, where an engine answers; else, in a checkout, against the commit before."""
    from reconciler.errors import EngineError, ShipstoneError
    from reconciler.world.checkout import BEFORE, checkout_of

    settings = _here(settings_of(config, source))
    folder = Path(settings.source.directory) if settings.source.directory else None
    if against is not None:
        checkout = checkout_of(folder) if folder else None
        if checkout is None:
            raise ShipstoneError("cannot compare with a commit: this is no checkout of a git repository. Name one with --source.")
        return _compared(settings, checkout, against)
    try:
        return _observed(settings)
    except EngineError as error:
        checkout = checkout_of(folder) if folder else None
        if checkout is None:
            raise
        print(f"{error}\nSo this is what the files change against the commit before ({BEFORE}).", file=sys.stderr)
        return _compared(settings, checkout, BEFORE)


def _here(settings: "Settings") -> "Settings":
    """In a folder of sites, with nothing else set, that folder is meant."""
    here = Path.cwd()
    if settings.source.url or settings.source.directory or not ((here / "shipstone.yaml").is_file() or (here / "sites").is_dir()):
        return settings
    return settings.model_copy(update={"source": settings.source.model_copy(update={"directory": str(here)})})


def _observed(settings: "Settings") -> _Planned:
    import platform

    from reconciler import wiring

    wiring.engine_of(settings).network_exists()  # before anything is made on this host's disk
    with wiring.looking(settings) as reconciler:
        desired = reconciler.take(wiring.source_of(settings).fetch())
        return _Planned(reconciler.plan(), desired, None, f"what runs on {platform.node()}")


def _compared(settings: "Settings", checkout: "Checkout", against: str) -> _Planned:
    """By the real planning, on a host made up on which the earlier commit runs."""
    from reconciler import wiring
    from reconciler.desired.compile import Compiler
    from reconciler.planning.guard import Guard
    from reconciler.planning.imagined import imagined
    from reconciler.planning.memory import Memory
    from reconciler.planning.plan import make_plan

    base = checkout.base(against)
    policy, names = wiring.policy_of(settings), wiring.names_of(settings)
    before = Compiler(policy).compile(checkout.at(base))
    desired = Compiler(policy).compile(checkout.named(wiring.source_of(settings).fetch()), before)
    guard = Guard(settings.policy.max_removals, settings.policy.max_removal_share)
    found = make_plan(desired, imagined(before, names), Memory(), 0.0, names, guard=guard)
    return _Planned(found, desired, base, f"commit {base[:12]}" if base else "an empty repository")
