"""When one request through Traefik is due, and what it asks. Pure."""

from reconciler.planning.labels import applied_of, route_of
from reconciler.planning.question import Question
from reconciler.planning.seen import Cast, Seen, alive


def question_of(seen: Seen, cast: Cast) -> Question | None:
    """What to ask now that Traefik has switched; None where it was asked already, or cannot be asked, or nothing could be gone back to."""
    goal = seen.goal
    there = [c for c in cast.keep if alive(c) and c.address]
    if goal is None or not there or goal.route.tls not in seen.names.asked or (seen.asked and seen.asked[0] == goal.release):
        return None
    if not any(c.release != goal.release for c in cast.leaving):
        return None
    route = route_of(there[0])
    port = applied_of(there[0]).spec.port
    return Question(route.hosts[0], route.path, route.tls, there[0].address or "", port, bool(route.middlewares))
