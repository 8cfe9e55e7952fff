"""A package index on the loopback interface and projects with small pinned sources."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

import pytest

Member = Union[bytes, tarfile.TarInfo]


def sdist(members: Mapping[str, Member], top: str = "demo-1.0") -> bytes:
    """A .tar.gz whose members are file contents or ready-made headers, below *top* unless *top* is empty."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            header = tarfile.TarInfo(f"{top}/{name}" if top else name)
            header.size = len(content)
            header.mode = 0o755 if name.endswith(".sh") else 0o644
            tar.addfile(header, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


@dataclass
class Index:
    """What the server serves: pages by path, and a switch for misbehaviour."""

    url: str
    files: Dict[str, bytes] = field(default_factory=dict)
    requests: List[str] = field(default_factory=list)
    credentials: Optional[str] = None
    answer: Optional[Callable[[BaseHTTPRequestHandler, str, bytes], bool]] = None

    def downloads(self) -> int:
        return sum(path.startswith("/files/") for path in self.requests)


class _Handler(BaseHTTPRequestHandler):
    index: Index

    def do_GET(self) -> None:
        index = self.index
        path = self.path.split("://", 1)[-1]
        path = path[path.index("/") :] if not path.startswith("/") else path
        index.requests.append(path)
        if index.credentials and self.headers.get("Authorization") != index.credentials:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
            return
        body = self._body(path)
        if body is None:
            self.send_error(404)
            return
        if index.answer and path.startswith("/files/") and index.answer(self, path, body):
            return
        self.reply(body, "text/html" if path.startswith("/simple/") else "application/octet-stream")

    def reply(self, body: bytes, kind: str, length: Optional[int] = None, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def _body(self, path: str) -> Optional[bytes]:
        if path.startswith("/files/"):
            return self.index.files.get(path[len("/files/") :])
        projects = {name.rsplit("-", 1)[0] for name in self.index.files}
        project = path[len("/simple/") :].strip("/") if path.startswith("/simple/") else ""
        if project not in projects:
            return None
        links = (f'<a href="/files/{name}">{name}</a>' for name in self.index.files if name.startswith(f"{project}-"))
        return ("<!DOCTYPE html><html><body>" + "<br>".join(links) + "</body></html>").encode()

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def make_index() -> Iterator[Callable[..., Index]]:
    """A factory of running servers; *wrap* may put TLS around the socket."""
    servers: List[ThreadingHTTPServer] = []

    def start(wrap: Optional[Callable[[ThreadingHTTPServer], None]] = None) -> Index:
        handler = type("Handler", (_Handler,), {})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        scheme = "http"
        if wrap:
            wrap(server)
            scheme = "https"
        index = Index(f"{scheme}://127.0.0.1:{server.server_address[1]}/simple/")
        handler.index = index  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return index

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def index(make_index: Callable[..., Index]) -> Index:
    """One plain server."""
    return make_index()


def environment(index: Optional[Index] = None, **more: str) -> Dict[str, str]:
    """Variables under which nothing of the machine's own pip configuration counts."""
    variables = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "PIP_TIMEOUT": "20"}
    if index is not None:
        variables["PIP_INDEX_URL"] = index.url
    variables.update(more)
    return variables


DEFAULT: Mapping[str, bytes] = {
    "LICENSE": b"do as you like\n",
    "src/one.c": b"int one(void)\n{\n\treturn 1;\n}\n",
    "src/deep/two.h": b"#define TWO 2\n",
    "src/run.sh": b"#!/bin/sh\n",
    "src/notes.txt": b"not wanted\n",
    "fix.patch": (
        b"--- a/src/one.c\n+++ b/src/one.c\n@@ -1,4 +1,4 @@\n int one(void)\n {\n-\treturn 1;\n+\treturn 11;\n }\n"
    ),
}


def write_pin(
    folder: Path,
    archive: bytes,
    *,
    patches: Iterable[Tuple[str, int]] = (),
    include: Iterable[str] = ("**/*.c", "**/*.h", "*.sh"),
    licence: str = "LICENSE",
    sha256: Optional[str] = None,
    size: Optional[int] = None,
) -> Path:
    """A ``source.toml`` for *archive* in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    patterns = ", ".join(f'"{pattern}"' for pattern in include)
    text = f"""
schema = 1
name = "Demo"
version = "1.0"
purl = "pkg:generic/demo@1.0"
licence = "MIT"
licence-files = ["{licence}"]
[archive]
project = "demo"
version = "1.0"
file = "demo-1.0.tar.gz"
sha256 = "{sha256 or hashlib.sha256(archive).hexdigest()}"
size = {size or len(archive)}
[[select]]
from = "src"
include = [{patterns}]
[[select]]
from = "."
include = ["LICENSE"]
"""
    for file, strip in patches:
        text += f'[[patch]]\nfile = "{file}"\nstrip = {strip}\ncloses = ["CVE-2000-0001"]\n'
    path = folder / "source.toml"
    path.write_text(text, encoding="utf-8")
    return path


@dataclass
class Project:
    """A project folder with one pinned tree, ``demo-src``."""

    path: Path

    @property
    def tree(self) -> Path:
        return self.path / "demo-src"

    def fetched(self) -> List[str]:
        """What lies in the tree besides the pin, POSIX paths."""
        return sorted(
            path.relative_to(self.tree).as_posix()
            for path in self.tree.rglob("*")
            if path.name != "source.toml" and not path.is_dir()
        )


@pytest.fixture
def project(tmp_path: Path, index: Index) -> Project:
    """A project whose pin matches what the index serves."""
    archive = sdist(DEFAULT)
    index.files["demo-1.0.tar.gz"] = archive
    write_pin(tmp_path / "project" / "demo-src", archive, patches=[("fix.patch", 2)])
    return Project(tmp_path / "project")
