"""What planning remembers from one pass to the next. Lose it and the next pass still does the right thing, only later."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.desired.desired import DesiredSite
from reconciler.planning.capacity import Need
from reconciler.planning.failed import FailedRelease
from reconciler.planning.observed import Pin


@dataclass(frozen=True)
class SiteMemory:
    """Of one site; times are monotonic seconds.

    `pin`, `pin_since`: the pin that Traefik last confirmed and since when. `pinned`: Traefik may hold a pin, written now or before.
    `unserved`: releases that never took a request.
    `begun`, `begun_at`: the release being brought up, and since when. `served`: the release last seen at rest.
    `tries`, `tried_at`: how often in a row containers of it were started, and when last, so that what dies at once is not started for ever.
    `listed`: without pins the release that is ready and listed by Traefik, all of it, and since when.
    `refused_at`: since when Traefik refuses a router of the release that is aimed at.
    `counts`: the release that was aimed at, and how many replicas of each service, for when its file says it no more.
    `drain`: what its file said last of `rollout.drain`, in seconds, for when it is gone.
    """

    pin: Pin | None = None
    pin_since: float | None = None
    pinned: bool = False
    unserved: frozenset[str] = frozenset()
    begun: str = ""
    begun_at: float = 0.0
    served: str = ""
    tries: int = 0
    tried_at: float = 0.0
    listed: tuple[str, float] | None = None
    refused_at: float | None = None
    counts: tuple[str, tuple[tuple[str, int], ...]] = ("", ())
    drain: float | None = None


@dataclass(frozen=True)
class Memory:
    """`failed`: by site. `going`: sites whose removal was let go.
    `images`: of sites in motion, (release, image as written) → what it was resolved to for that release."""

    sites: Mapping[str, SiteMemory] = field(default_factory=dict, hash=False)
    failed: Mapping[str, FailedRelease] = field(default_factory=dict, hash=False)
    going: frozenset[str] = frozenset()
    images: Mapping[str, Mapping[tuple[str, str], str]] = field(default_factory=dict, hash=False)
    asked: Mapping[str, tuple[str, str]] = field(default_factory=dict, hash=False)
    """Of sites in motion: a release after whose switch Traefik was asked by host name, and why it cannot be reached, or nothing."""
    troubles: Mapping[str, tuple[str, str]] = field(default_factory=dict, hash=False)
    """The release that a site was being brought to when its last steps were stopped, and by what; until steps of it end well."""
    starting: Mapping[str, Need] = field(default_factory=dict, hash=False)
    """What sites that were told to start something need; kept while their steps are being done."""
    whole: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict, hash=False)
    """By site and release: how many replicas of each service there were when it was last seen whole."""
    digests: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict, hash=False)
    """By site and release: image as written → what it ran with then."""
    lost: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By site: the release of which something was not on the engine when it was to run."""
    last: Mapping[str, DesiredSite] = field(default_factory=dict, hash=False)
    """By site: the release that was whole last, to come back to where nothing runs any more. Not of a site that was removed since."""
