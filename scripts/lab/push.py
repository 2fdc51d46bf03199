"""A git server's word that something was pushed, signed as Gitea signs it: what a forge sends after a merge."""

import hashlib
import hmac
import http.client
import itertools
import json

from lab.host import Host

NUMBERS = itertools.count()


def tell(host: Host, secret: str, branch: str = "main", **more: str) -> tuple[int, str]:
    """POST it to the daemon of `host`; (status, body) of its answer."""
    payload = {"ref": f"refs/heads/{branch}", "number": next(NUMBERS), "repository": {"clone_url": str(host.repository.bare)}, **more}
    body = json.dumps(payload).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection("127.0.0.1", host.page, timeout=10)
    try:
        connection.request("POST", "/hooks/gitea", body, {"X-Gitea-Event": "push", "X-Gitea-Signature": signature})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
