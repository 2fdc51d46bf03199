"""One request through Traefik's entry point by host name, and the same to a container itself."""

import http.client
import socket
import ssl
import time
from collections.abc import Mapping

from reconciler.planning.question import Answer, Question, is_traefiks

TIMEOUT = 5.0
"""Seconds for one answer; one that takes longer says nothing."""
TRIES, PAUSE = 3, 0.2
"""An error of Traefik's has to be there so often, so many seconds apart: it may just be taking up something else."""
ENOUGH = 256
"""Bytes of an answer that are read."""


class ThroughTraefik:
    """`points`: with TLS or without → the address and port where Traefik's entry point answers, as seen from this host."""

    def __init__(self, points: Mapping[bool, tuple[str, int]]) -> None:
        self._points = dict(points)

    def ask(self, question: Question) -> tuple[Answer | None, Answer | None]:
        """What Traefik answers, and where that is an error of its own what the container does. None: no answer. Never raises."""
        through = self._through(question)
        for _ in range(TRIES - 1):
            if through is None or not is_traefiks(through):
                return through, None
            time.sleep(PAUSE)
            through = self._through(question)
        return through, answer_of((question.address, question.port), question, tls=False)

    def _through(self, question: Question) -> Answer | None:
        point = self._points.get(question.tls)
        return answer_of(point, question, tls=question.tls) if point else None


def answer_of(where: tuple[str, int], question: Question, *, tls: bool) -> Answer | None:
    """One GET on a new connection; whose certificate it is does not matter here."""
    try:
        with socket.create_connection(where, TIMEOUT) as plain:
            connection = http.client.HTTPConnection(question.host, timeout=TIMEOUT)
            connection.sock = _unverified().wrap_socket(plain, server_hostname=question.host) if tls else plain
            connection.request("GET", question.path, headers={"User-Agent": "shipstone-ask", "Connection": "close"})
            response = connection.getresponse()
            return Answer(response.status, response.read(ENOUGH).decode("utf-8", "replace").strip())
    except (OSError, http.client.HTTPException):
        return None


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
