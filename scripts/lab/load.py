"""Requests that never stop, over connections that stay open: every one is counted, and so is every one that is lost."""

import collections
import http.client
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Seen:
    """`answers`: (status, body) → how many; `lost`: when (monotonic seconds) and why."""

    sent: int = 0
    answers: collections.Counter[tuple[int, str]] = field(default_factory=collections.Counter)
    lost: list[tuple[float, str]] = field(default_factory=list)


class Load:
    """`clients` threads that ask `host` through port `port`, half of them with POST, each with the cookie that it got;
    `pause` seconds between two requests of one."""

    def __init__(self, port: int, host: str, *, clients: int = 8, pause: float = 0.0, method: str = "") -> None:
        self._port, self._host, self._pause = port, host, pause
        self._stop, self._lock = threading.Event(), threading.Lock()
        self.seen = Seen()
        methods = [method] if method else ["GET", "POST"]
        self._threads = [threading.Thread(target=self._ask, args=(methods[n % len(methods)],), daemon=True) for n in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _ask(self, method: str) -> None:
        connection: http.client.HTTPConnection | None = None
        body = b"x" * 256 if method == "POST" else None
        headers = {"Host": self._host}
        while not self._stop.is_set():
            why = ""
            answer = (0, "")
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
                connection.request(method, "/", body=body, headers=headers)
                response = connection.getresponse()
                answer = (response.status, response.read().decode("utf-8", "replace"))
                if cookie := response.getheader("Set-Cookie"):
                    headers["Cookie"] = cookie.split(";")[0]
                if response.will_close:
                    connection.close()
                    connection = None
                if answer[0] != 200 and not (answer[0] == 405 and method == "POST"):
                    why = f"status {answer[0]}"
            except (OSError, http.client.HTTPException) as error:
                why, connection = type(error).__name__, None
            with self._lock:
                self.seen.sent += 1
                self.seen.answers[answer] += 1
                if why:
                    self.seen.lost.append((time.monotonic(), why))
            if self._pause:
                self._stop.wait(self._pause)
