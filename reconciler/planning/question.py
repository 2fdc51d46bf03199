"""One request through Traefik after the switch: is it the new release that answers? Pure.

An error that Traefik makes itself, and that the container asked at its own port does not give, means that requests do not get through.
"""

from dataclasses import dataclass

MADE_BY_TRAEFIK = {
    404: ("404 page not found",),
    502: ("Bad Gateway",),
    503: ("no available server", "Service Unavailable"),
    504: ("Gateway Timeout",),
}
"""Status → what Traefik 3 writes with it."""


@dataclass(frozen=True)
class Question:
    """What is asked: of Traefik by `host` and `path`, on its entry point with TLS or on the other, and of a replica at `address`:`port`.

    `changed`: the site's middlewares may change the request on its way.
    """

    host: str
    path: str
    tls: bool
    address: str
    port: int
    changed: bool = False


@dataclass(frozen=True)
class Answer:
    """A status and how its text begins, without white space around it."""

    status: int
    text: str


def is_traefiks(answer: Answer) -> bool:
    """Traefik made it: no container was reached."""
    return answer.text in MADE_BY_TRAEFIK.get(answer.status, ())


def verdict(question: Question, through: Answer | None, direct: Answer | None) -> str:
    """Why the release cannot be reached, in one line; empty where it can, or where that is not known."""
    if through is None or direct is None or not is_traefiks(through) or direct.status == through.status:
        return ""
    if through.status == 404 and question.changed:
        return ""
    where = f"{question.host}{question.path}"
    return f"Traefik answers {through.status} ({through.text}) for {where}, while the container itself answers {direct.status}"
