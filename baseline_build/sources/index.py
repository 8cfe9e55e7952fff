"""Finds a pinned source distribution on the user's index and downloads it.

Index protocol, links, credentials (URL, netrc, keyring) and TLS are the work of *unearth*, a kept client; it is needed
only while trees are missing and is asked for dynamically, see :data:`REQUIREMENT`.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple, Type
from urllib.parse import urlsplit

from ..errors import SourceError
from .model import Archive, Pin
from .pipconfig import IndexSettings, redact

REQUIREMENT = "unearth>=0.17"
_ATTEMPT_PAUSE = 0.25
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

Failures = Tuple[Type[Exception], ...]
Report = Callable[[str], None]


def download(pin: Pin, settings: IndexSettings, target: Path, report: Report) -> None:
    """Write the archive of *pin* to *target*, its hash checked while it streams in.

    Raises :class:`SourceError`: BB302 without the client, BB303 when no place could be reached, BB304 when the places
    answered but do not have the file, BB305 when what came is not what is pinned.
    """
    sync = _client_module()
    places = _places(settings)
    if not places:
        raise _not_found(pin, ["pip's configuration allows no index and names no folder"])
    with _session(sync, settings) as session:
        search = _Search(session, pin, settings.retries, _failures(sync))
        if any(search.fetch(kind, place, target, report) for kind, place in places):
            return
    if search.unreachable:
        raise SourceError(
            "BB303",
            f"cannot fetch {pin.archive.file}: " + "; ".join(search.notes),
            where=pin.tree,
            why="the network or the package index is not reachable from here, or refused the connection",
            fix="check index-url, proxy and certificates (`python -m pip config debug`); or put the file into a folder"
            " and set PIP_FIND_LINKS to it; or build from the sdist, which carries the sources",
        )
    raise _not_found(pin, search.notes)


class _Search:
    """One walk through the places; *notes* says of each why it did not help."""

    def __init__(self, session: Any, pin: Pin, retries: int, failures: Failures) -> None:
        self.session = session
        self.pin = pin
        self.retries = retries
        self.failures = failures
        self.notes: List[str] = []
        self.unreachable = False

    def fetch(self, kind: str, place: str, target: Path, report: Report) -> bool:
        """Whether *place* had the file; then it is at *target*."""
        try:
            link = self._retried(lambda: _find(self.session, self.pin.archive, kind, place, self.notes))
            if link is None:
                return False
            report(f"fetching {self.pin.archive.file} from {_host(link.url)}")
            self._retried(lambda: _stream(self.session, link, self.pin, target))
        except self.failures as error:
            self.unreachable = True
            self.notes.append(f"{redact(place)}: {_sentence(error)}")
            return False
        return True

    def _retried(self, step: Callable[[], Any]) -> Any:
        """The result of *step*; failures of the transport are tried again as often as pip's ``retries`` allows."""
        for attempt in range(self.retries):
            with suppress(*self.failures):
                return step()
            time.sleep(_ATTEMPT_PAUSE * 2**attempt)
        return step()


def _client_module() -> Any:
    try:
        from unearth.fetchers import sync
    except ImportError as error:
        raise SourceError(
            "BB302",
            "the package index client 'unearth' is not installed",
            why="the third-party sources are missing, and builds without isolation install no build requirements",
            fix=f"pip install '{REQUIREMENT}', or build with isolation, or build from the sdist",
        ) from error
    return sync


def _failures(sync: Any) -> Failures:
    http = _http_module(sync)
    return (http.HTTPError, http.InvalidURL, OSError)


def _http_module(sync: Any) -> Any:
    # Newer versions of the client stand on httpx2, older ones on httpx.
    return getattr(sync, "httpx2", None) or sync.httpx


def _places(settings: IndexSettings) -> List[Tuple[str, str]]:
    places = [("find_links", link) for link in settings.find_links]
    if settings.index_url != "":
        places.append(("index", settings.index_url or ""))
        places += [("index", url) for url in settings.extra_index_urls]
    return places


@contextmanager
def _session(sync: Any, settings: IndexSettings) -> Iterator[Any]:
    from unearth.auth import MultiDomainBasicAuth

    further: Dict[str, Any] = {"mounts": _trusted_transports(sync, settings)}
    if settings.proxy:
        further["proxy"] = settings.proxy
    session = sync.PyPIClient(
        trusted_hosts=settings.trusted_hosts,
        verify=_tls(settings),
        cert=settings.client_certificate,
        timeout=settings.timeout,
        follow_redirects=True,
        **further,
    )
    urls = [url for url in (settings.index_url, *settings.extra_index_urls) if url]
    session.auth = MultiDomainBasicAuth(prompting=False, index_urls=urls)
    with session:
        yield session


def _trusted_transports(sync: Any, settings: IndexSettings) -> Dict[str, Any]:
    """Transports without certificate checks that go through the proxy; the client's own forget it."""
    http = _http_module(sync)
    environment = urllib.request.getproxies()
    mounts = {}
    for host in settings.trusted_hosts:
        bypass = urllib.request.proxy_bypass(host)
        for scheme in ("http", "https"):
            proxy = settings.proxy or (None if bypass else environment.get(scheme))
            mounts[f"{scheme}://{host}"] = http.HTTPTransport(
                verify=False, cert=settings.client_certificate, proxy=proxy
            )
    return mounts


def _tls(settings: IndexSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.certificates)
    except OSError as error:
        raise SourceError(
            "BB312",
            f"the certificate bundle cannot be used: {error}",
            where=settings.certificates,
            fix="correct PIP_CERT, REQUESTS_CA_BUNDLE or `cert` in pip.conf",
        ) from error
    if settings.certificates is None:
        # Interpreters built elsewhere often look for the system's certificates in the wrong place.
        with suppress(ImportError):
            import certifi

            context.load_verify_locations(certifi.where())
    return context


def _find(session: Any, archive: Archive, kind: str, place: str, notes: List[str]) -> Any:
    """The link to the pinned file in one place, or ``None``; reasons are added to *notes*."""
    from unearth import PackageFinder

    options: Dict[str, Any] = {"index_urls": [place]} if kind == "index" and place else {}
    if kind == "find_links":
        options = {"find_links": [place]}
    name = redact(place) or "the default index"
    with _warnings_of("unearth", notes):
        try:
            finder = PackageFinder(session=session, ignore_compatibility=True, no_binary=[":all:"], **options)
            for package in finder.find_all_packages(archive.project, allow_yanked=True):
                if package.link.filename == archive.file:
                    return package.link
        except ValueError as error:
            notes.append(f"{name}: {_sentence(error)}")
            return None
    notes.append(f"{name}: no {archive.file}")
    return None


@contextmanager
def _warnings_of(logger_name: str, notes: List[str]) -> Iterator[None]:
    """Collect what the client only logs: why a page could not be used."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            notes.append(record.getMessage())

    logger = logging.getLogger(logger_name)
    handler = Collector(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _stream(session: Any, link: Any, pin: Pin, target: Path) -> None:
    # "identity": the hash is that of the file, not of a proxy's idea of compressing it.
    with session.get_stream(link.normalized, headers={"Accept-Encoding": "identity"}) as response:
        if response.status_code in _PASSING_STATUS:
            raise ConnectionError(f"{_host(link.url)} answered {response.status_code}")
        if response.status_code >= 400:
            raise _not_found(pin, [f"{_host(link.url)} answered {response.status_code} for the file itself"])
        _receive(response, pin, target)


def _receive(response: Any, pin: Pin, target: Path) -> None:
    digest = hashlib.sha256()
    received = 0
    with target.open("wb") as stream:
        for chunk in response.iter_raw():
            received += len(chunk)
            if received > pin.archive.size:
                raise _mismatch(pin, f"it is longer than the pinned {pin.archive.size} bytes")
            digest.update(chunk)
            stream.write(chunk)
    if received != pin.archive.size:
        raise _mismatch(pin, f"it has {received} bytes, the pin says {pin.archive.size}")
    if digest.hexdigest() != pin.archive.sha256:
        raise _mismatch(pin, f"its SHA-256 is {digest.hexdigest()}, the pin says {pin.archive.sha256}")


def _host(url: str) -> str:
    return urlsplit(url).hostname or "a local folder"


def _sentence(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _mismatch(pin: Pin, what: str) -> SourceError:
    return SourceError(
        "BB305",
        f"{pin.archive.file} is not the pinned file: {what}",
        where=pin.tree,
        why="a damaged or truncated download, a proxy that answers with a page of its own, or a replaced file",
        fix="try again; if it stays, find out why the index serves another file before you change the pin",
    )


def _not_found(pin: Pin, notes: List[str]) -> SourceError:
    return SourceError(
        "BB304",
        f"{pin.archive.file} was not found: " + "; ".join(notes),
        where=pin.tree,
        why="the configured index does not carry this project or version, or only its wheels",
        fix="let your index mirror the file, or put it into a folder and set PIP_FIND_LINKS to it",
    )
