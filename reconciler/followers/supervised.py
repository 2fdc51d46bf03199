"""What `systemctl status` says of the daemon, in one line."""

from reconciler.followers.follower import Follower, Pass
from reconciler.world.systemd import Notifier


class Supervised(Follower):
    """Tells the service manager how the sites stand after each pass, and what is in the way where a pass or a fetch failed."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._sites = ""

    def passed(self, done: Pass) -> None:
        sites = done.plan.sites
        right = sum(site.sync == "synced" and site.health == "healthy" for site in sites.values())
        self._sites = f"{right} of {len(sites) + len(done.plan.busy - sites.keys())} sites as {done.desired.revision[:12]} says"
        self._notifier.status(self._sites)

    def not_passed(self, why: str) -> None:
        self._notifier.status(why)

    def not_fetched(self, why: str) -> None:
        self._notifier.status("; ".join(text for text in (self._sites, why) if text))
