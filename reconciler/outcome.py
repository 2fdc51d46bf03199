"""What doing the steps of a site brought, for whoever wants to know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.errors import ShipstoneError
from reconciler.planning.failed import FailedRelease
from reconciler.planning.steps import Step


@dataclass(frozen=True)
class Outcome:
    """What the steps of one site brought. `done` are the steps with their seconds, `error` what stopped them, in one line, and `stopped`
    the step that it came from, with its seconds;
    `images`: (release, image as written) → what it was resolved to; `asked`: a release, and why Traefik does not reach it, if so.
    `release` is what the site is brought to, by the revision `commit`. `missed`: what the step named is not on the engine."""

    site: str
    done: tuple[tuple[Step, float], ...] = ()
    error: str = ""
    images: Mapping[tuple[str, str], str] = field(default_factory=dict, hash=False)
    failed: FailedRelease | None = None
    asked: tuple[str, str] | None = None
    release: str = ""
    commit: str = ""
    stopped: tuple[Step, float] | None = None
    missed: bool = False


Report = Callable[[Outcome], None]


def said(problem: Exception, site: str) -> str:
    """One line; a surprise with its type."""
    known = isinstance(problem, ShipstoneError)
    return str(problem) if known else f"cannot finish the steps of {site}: {type(problem).__name__}: {problem}"
