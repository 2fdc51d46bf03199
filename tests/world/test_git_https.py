"""The git source over https: git's own http-backend behind TLS and a login."""

import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lab.certificate import self_signed
from lab.engine import need

from reconciler.world.git import GitSource
from reconciler.world.git_access import Access
from tests.world.test_git import Upstream, refusal

LOGIN = "Basic " + base64.b64encode(b"ada:p@ss:w/rd").decode()


@dataclass
class Server:
    """`asked` are the paths that somebody asked for, with whether he was logged in."""

    upstream: Upstream
    port: int
    folder: Path
    asked: list[tuple[str, bool]] = field(default_factory=list)
    moved: str = ""

    def source(self, mirror: Path, login: str = "", user: str = "", name: str = "upstream.git") -> GitSource:
        file = self.folder / "credentials"
        file.write_text(login)
        file.chmod(0o600)
        url = f"https://{user}127.0.0.1:{self.port}/{name}"
        return GitSource(url, "main", "", mirror, access=Access(credentials_file=str(file) if login else ""), timeout=30.0)


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    """CGI as RFC 3875 has it, as far as git needs it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers.get("Authorization", "") == LOGIN
            server.asked.append((self.path, allowed))
            if server.moved:
                return self._plain(301, {"Location": server.moved + self.path})
            if not allowed:
                return self._plain(401, {"WWW-Authenticate": 'Basic realm="git"'})
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            env = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(server.upstream.bare.parent),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": parts.path,
                "QUERY_STRING": parts.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_USER": "ada",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
            }
            out = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False).stdout
            head, _, content = out.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
            return self._plain(int(headers.pop("Status", "200 ").split()[0]), headers, content)

        do_POST = do_GET  # noqa: N815  the name that http.server calls

        def _plain(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Tests print nothing."""

    return Handler


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    need("git", "openssl")
    upstream = Upstream(tmp_path)
    upstream.push({"a": "1"})
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    self_signed(key, certificate, "127.0.0.1", "subjectAltName=IP:127.0.0.1")
    here = Server(upstream, 0, tmp_path)
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler(here))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    here.port = listening.server_address[1]
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    yield here
    listening.shutdown()
    listening.server_close()


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "state" / "mirror.git"


def test_the_line_of_the_server_logs_in(server: Server, mirror: Path) -> None:
    """Others in the file are not for it; a new token counts from the next fetch on; nothing of it is kept."""
    other = "https://eve:x@elsewhere.example\n# a comment\nhttps://eve:y@127.0.0.1\n"
    mine = f"https://ada:p%40ss%3Aw%2Frd@127.0.0.1:{server.port}\n"
    source = server.source(mirror, other + mine)
    assert source.fetch().read("a") == b"1"
    (server.folder / "credentials").write_text(mine.replace("p%40", "wrong"))
    assert "the server refused the login" in refusal(source)
    (server.folder / "credentials").write_text(mine)
    commit = server.upstream.push({"a": "2"})
    assert source.fetch().id == commit
    source.close()
    kept = b"".join(path.read_bytes() for path in mirror.parent.rglob("*") if path.is_file())
    assert b"w/rd" not in kept
    assert b"w%2Frd" not in kept


def test_one_token_alone(server: Server, mirror: Path) -> None:
    """Its user is the URL's, where it has one."""
    assert server.source(mirror, "p@ss:w/rd\n", "ada@").fetch().read("a") == b"1"
    assert "the server refused the login" in refusal(server.source(mirror, "p@ss:w/rd\n"))


def test_files_that_do_not_help(server: Server, mirror: Path) -> None:
    port = server.port
    for text, why in (
        ("https://ada:x@elsewhere\n", f"has no line for 127.0.0.1:{port}. Write one as https://USER:TOKEN@127.0.0.1:{port}, or the token"),
        (f"http://ada:x@127.0.0.1:{port}\n", "has no line for"),
        (f"https://ada:x@127.0.0.1:{port}/other.git\n", "has no line for"),
        ("https://[broken\nb\n", "has no line for"),
        (f"https://ada:a%0aquit=1@127.0.0.1:{port}\n", "has no line for"),
        ("\n", "is empty. Write what it should hold into it."),
    ):
        assert why in refusal(server.source(mirror, text))
    assert server.asked == []
    source = server.source(mirror, "token")
    (server.folder / "credentials").chmod(0o644)
    assert "is a secret that everybody on this host can read. Run: chmod 600 " in refusal(source)
    (server.folder / "credentials").unlink()
    assert f"[source] credentials_file {server.folder}/credentials cannot be read: No such file or directory. Mend the path" in refusal(
        source
    )


def test_a_server_that_sends_elsewhere_is_not_followed(server: Server, mirror: Path) -> None:
    """A login would go there as well."""
    server.moved = f"https://localhost:{server.port}"
    text = refusal(server.source(mirror, "p@ss:w/rd\n", "ada@"))
    assert "the server sends to another address. Set [source] url to that one." in text
    assert len(server.asked) == 1


def test_no_netrc_and_no_cookie_of_the_user(server: Server, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right login lies in the home folder: it is not looked for there."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login ada password p@ss:w/rd\n")
    (home / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    assert "the server refused the login" in refusal(server.source(mirror))
    assert not any(allowed for _, allowed in server.asked)
