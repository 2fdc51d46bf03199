"""A registry with one image, small on the wire and huge on disk."""

import gzip
import hashlib
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = 16 << 20
KIND = "application/vnd.docker.distribution.manifest.v2+json"


@contextmanager
def a_huge_image(address: str, size: int) -> Iterator[str]:
    """The image's name; its one layer holds a file of `size` bytes, all zero. As the registry API v2 has it, without TLS."""
    layer = _layer(size)
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [_digest(b"")]}}).encode()
    parts = {"config": config, "layer": layer}
    rows = {name: {"mediaType": "application/octet-stream", "size": len(part), "digest": _digest(part)} for name, part in parts.items()}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": KIND, "config": rows["config"], "layers": [rows["layer"]]}).encode()
    answers = {"/v2/": b"{}", "/v2/huge/manifests/1": manifest, f"/v2/huge/manifests/{_digest(manifest)}": manifest}
    answers |= {f"/v2/huge/blobs/{_digest(part)}": part for part in parts.values()}

    class Registry(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", KIND)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET  # noqa: N815  as the base class calls it

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer((address, 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{address}:{server.server_address[1]}/huge:1"
        server.shutdown()


def _layer(size: int) -> bytes:
    """A tar, as gzip members of which all but the ends are the same."""
    entry = tarfile.TarInfo("huge")
    entry.size = -(-size // CHUNK) * CHUNK
    zeros = gzip.compress(bytes(CHUNK), 1)
    return gzip.compress(entry.tobuf(tarfile.GNU_FORMAT)) + zeros * (entry.size // CHUNK) + gzip.compress(bytes(1024))


def _digest(part: bytes) -> str:
    return f"sha256:{hashlib.sha256(part).hexdigest()}"
