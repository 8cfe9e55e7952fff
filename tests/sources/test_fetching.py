"""Fetching from an index that behaves, misbehaves, or is not there."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import sys
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from baseline_build import sources
from baseline_build.errors import ConfigError, SourceError
from tests.tools import require_tool

from .conftest import Index, Project, environment, sdist, write_pin

FETCHED = ["LICENSE", "deep/two.h", "one.c", "run.sh", "stamp.json"]


def test_a_tree_is_fetched_patched_and_recorded(project: Project, index: Index) -> None:
    lines: list[str] = []
    (tree,) = sources.sync(project.path, environ=environment(index), report=lines.append)
    assert project.fetched() == FETCHED
    assert (project.tree / "one.c").read_text() == "int one(void)\n{\n\treturn 11;\n}\n"
    assert [file.path for file in tree.files] == ["LICENSE", "deep/two.h", "one.c", "run.sh"]
    assert [file.path for file in tree.files if file.executable] == ["run.sh"]
    assert tree.members == ("LICENSE", "deep/two.h", "one.c", "run.sh", "source.toml", "stamp.json")
    assert tree.licence_paths == (project.tree / "LICENSE",)
    assert tree.pin.patches[0].closes == ("CVE-2000-0001",)
    assert any("fix.patch" in line for line in lines)
    assert any("127.0.0.1" in line for line in lines)


def test_a_complete_tree_needs_no_network(project: Project, index: Index) -> None:
    sources.sync(project.path, environ=environment(index))
    seen = len(index.requests)
    sources.sync(project.path, offline=True)
    assert len(index.requests) == seen
    assert sources.requirements(project.path) == ()


def test_what_a_build_needs_while_the_tree_is_missing(project: Project) -> None:
    assert sources.requirements(project.path) == ("unearth>=0.17",)


def _refused(project: Project, index: Index, code: str, **environ: str) -> str:
    with pytest.raises(SourceError) as caught:
        sources.sync(project.path, environ=environment(index, **environ))
    assert caught.value.code == code
    assert project.fetched() == []
    return str(caught.value)


def test_a_wrong_hash(project: Project, index: Index) -> None:
    archive = index.files["demo-1.0.tar.gz"]
    write_pin(project.tree, archive, sha256="0" * 64)
    message = _refused(project, index, "BB305")
    assert "0" * 64 in message


def test_another_file_of_the_same_length(project: Project, index: Index) -> None:
    archive = bytearray(index.files["demo-1.0.tar.gz"])
    archive[-1] ^= 1
    index.files["demo-1.0.tar.gz"] = bytes(archive)
    assert "SHA-256" in _refused(project, index, "BB305")


def test_a_longer_file_is_not_even_read_to_its_end(project: Project, index: Index) -> None:
    index.files["demo-1.0.tar.gz"] += b"x" * (8 << 20)
    assert "longer" in _refused(project, index, "BB305")


def test_a_body_that_is_cut_off(project: Project, index: Index) -> None:
    def cut(handler: object, _: str, body: bytes) -> bool:
        handler.reply(body[: len(body) // 2], "application/octet-stream", length=len(body))  # type: ignore[attr-defined]
        return True

    index.answer = cut
    _refused(project, index, "BB303")


def test_a_shorter_body_that_claims_to_be_complete(project: Project, index: Index) -> None:
    index.files["demo-1.0.tar.gz"] = index.files["demo-1.0.tar.gz"][:-5]
    assert "bytes" in _refused(project, index, "BB305")


def test_a_passing_failure_is_tried_again(project: Project, index: Index) -> None:
    failures = [503, 502]

    def fail_twice(handler: object, _: str, __: bytes) -> bool:
        if not failures:
            return False
        handler.reply(b"", "text/plain", status=failures.pop())  # type: ignore[attr-defined]
        return True

    index.answer = fail_twice
    sources.sync(project.path, environ=environment(index, PIP_RETRIES="2"))
    assert index.downloads() == 3
    assert project.fetched() == FETCHED


def test_a_project_the_index_does_not_know(project: Project, index: Index) -> None:
    index.files.clear()
    assert "404" in _refused(project, index, "BB304")


def test_a_version_the_index_does_not_have(project: Project, index: Index) -> None:
    index.files = {"demo-2.0.tar.gz": b"", "demo-1.0-py3-none-any.whl": b""}
    assert "no demo-1.0.tar.gz" in _refused(project, index, "BB304")


def test_a_listed_file_that_is_gone(project: Project, index: Index) -> None:
    def gone(handler: object, _: str, __: bytes) -> bool:
        handler.reply(b"", "text/plain", status=410)  # type: ignore[attr-defined]
        return True

    index.answer = gone
    assert "410" in _refused(project, index, "BB304")


def test_nobody_listens(project: Project, index: Index) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    message = _refused(project, index, "BB303", PIP_INDEX_URL=f"http://127.0.0.1:{port}/simple")
    assert "not reachable" in message


def test_no_index_allowed(project: Project, index: Index) -> None:
    _refused(project, index, "BB304", PIP_NO_INDEX="1")
    assert index.requests == []


def test_a_folder_of_files_without_any_index(project: Project, index: Index, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "demo-1.0.tar.gz").write_bytes(index.files["demo-1.0.tar.gz"])
    sources.sync(project.path, environ=environment(index, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path / "kept")))
    assert project.fetched() == FETCHED
    assert index.requests == []


def test_a_second_index(project: Project, index: Index, make_index: object) -> None:
    empty: Index = make_index()  # type: ignore[operator]
    sources.sync(project.path, environ=environment(empty, PIP_EXTRA_INDEX_URL=index.url))
    assert project.fetched() == FETCHED


def test_credentials_in_the_address_are_used_and_never_shown(project: Project, index: Index) -> None:
    index.credentials = "Basic " + base64.b64encode(b"me:s3cret").decode()
    with_password = index.url.replace("://", "://me:s3cret@")
    lines: list[str] = []
    sources.sync(project.path, environ=environment(index, PIP_INDEX_URL=with_password), report=lines.append)
    assert project.fetched() == FETCHED
    index.files.clear()
    with pytest.raises(SourceError) as caught:
        sources.sync(project.path, force=True, environ=environment(index, PIP_INDEX_URL=with_password))
    stamp = (project.tree / "stamp.json").read_text()
    assert "s3cret" not in str(caught.value) + stamp + "".join(lines)


def test_credentials_of_netrc(project: Project, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.credentials = "Basic " + base64.b64encode(b"me:s3cret").decode()
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    sources.sync(project.path, environ=environment(index))
    assert project.fetched() == FETCHED


def test_a_proxy(project: Project, index: Index, make_index: object) -> None:
    proxy: Index = make_index()  # type: ignore[operator]
    proxy.files = index.files
    environ = environment(index, PIP_PROXY=proxy.url.rsplit("/simple", 1)[0])
    environ["PIP_INDEX_URL"] = "http://index.invalid/simple"
    environ["PIP_TRUSTED_HOST"] = ""
    with pytest.raises(SourceError):
        sources.sync(project.path, environ={**environ, "PIP_PROXY": ""})
    sources.sync(project.path, environ={**environ, "PIP_TRUSTED_HOST": "index.invalid"})
    assert project.fetched() == FETCHED
    assert proxy.downloads() == 1


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key in one file."""
    path = tmp_path / "cert.pem"
    command = [require_tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = tmp_path / "key.pem"
    subprocess.run([*command, "-keyout", str(key), "-out", str(path)], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def test_certificates(project: Project, index: Index, make_index: object, certificate: Path) -> None:
    def wrap(server: ThreadingHTTPServer) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)

    safe: Index = make_index(wrap)  # type: ignore[operator]
    safe.files = index.files
    assert "CERTIFICATE_VERIFY_FAILED" in _refused(project, safe, "BB303")
    _refused(project, safe, "BB312", PIP_CERT=str(certificate.with_name("missing.pem")))
    sources.sync(project.path, environ=environment(safe, PIP_CERT=str(certificate)))
    assert project.fetched() == FETCHED


def test_a_client_that_is_not_installed(project: Project, index: Index, tmp_path: Path) -> None:
    root = Path(sources.__file__).parents[2]
    script = (
        "import sys; sys.modules['unearth'] = None\n"
        f"sys.path.insert(0, {str(root)!r})\n"
        "from pathlib import Path; from baseline_build import sources\n"
        f"sources.sync(Path({str(project.path)!r}))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "BB302" in result.stderr
    assert project.fetched() == []


def test_an_unknown_tree(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"BB229.*demo-src"):
        sources.sync(project.path, "nothing")


def test_one_tree_of_several(project: Project, index: Index) -> None:
    write_pin(project.path / "other-src", sdist({}))
    (tree,) = sources.sync(project.path, "demo-src", environ=environment(index))
    assert tree.pin.tree == "demo-src"
    assert [state.state for state in sources.check(project.path)] == ["complete", "missing"]
