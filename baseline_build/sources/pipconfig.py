"""The user's package index, as pip would see it.

pip may be absent from an isolated build environment, while its configuration always applies to it. So the files and
variables are read here, by the rules of pip's manual ("Configuration", section "Location" and "Precedence within the
configuration"): global, user and site files, then ``PIP_*`` variables; a file that ``PIP_CONFIG_FILE`` names takes the
place of the user's and wins over the others; the section ``[download]`` wins over ``[global]``. Options given to pip on
its command line do not reach a build.
"""

from __future__ import annotations

import configparser
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple
from urllib.parse import urlsplit, urlunsplit

from ..errors import SourceError

DEFAULT_TIMEOUT = 15.0
DEFAULT_RETRIES = 5
_SECTIONS = ("global", "download")
_FALSE = {"", "0", "n", "no", "f", "false", "off"}
_TRUE = {"1", "y", "yes", "t", "true", "on"}


@dataclass(frozen=True)
class IndexSettings:
    """Where to look for distributions and how to talk to those places.

    :param index_url: the main index, ``None`` for the client's default one, ``""`` when pip is told to use none.
    :param extra_index_urls: further indexes.
    :param find_links: folders, HTML pages or files with distributions.
    :param trusted_hosts: ``host`` or ``host:port`` whose certificates are not checked.
    :param certificates: a bundle of CA certificates (file) or ``None`` for the system's.
    :param client_certificate: a file with certificate and key.
    :param proxy: URL of a proxy; those of the environment count besides.
    :param timeout: seconds.
    :param retries: further attempts after the first.
    """

    index_url: Optional[str]
    extra_index_urls: Tuple[str, ...]
    find_links: Tuple[str, ...]
    trusted_hosts: Tuple[str, ...]
    certificates: Optional[str]
    client_certificate: Optional[str]
    proxy: Optional[str]
    timeout: float
    retries: int


def read_settings(environ: Mapping[str, str], prefix: Path = Path(sys.prefix)) -> IndexSettings:
    """The settings of the user that *environ* belongs to.

    :param prefix: the environment whose site-wide ``pip.conf`` counts.
    Raises :class:`SourceError` BB312 for a configuration pip could not use either.
    """
    values: Dict[str, str] = {}
    for path in _files(environ, prefix):
        values.update(_read_file(path))
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            values[name[4:].lower().replace("_", "-")] = value
    bundle = values.get("cert") or environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
    return IndexSettings(
        index_url="" if _truth("no-index", values) else values.get("index-url") or values.get("pypi-url"),
        extra_index_urls=() if _truth("no-index", values) else tuple(values.get("extra-index-url", "").split()),
        find_links=tuple(os.path.expanduser(link) for link in values.get("find-links", "").split()),
        trusted_hosts=tuple(values.get("trusted-host", "").split()),
        certificates=bundle,
        client_certificate=values.get("client-cert"),
        proxy=values.get("proxy"),
        timeout=_number("timeout", values, _number("default-timeout", values, DEFAULT_TIMEOUT)),
        retries=int(_number("retries", values, DEFAULT_RETRIES)),
    )


def redact(url: str) -> str:
    """*url* without user name and password, for messages."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc="****@" + parts.netloc.rsplit("@", 1)[1]))


def _files(environ: Mapping[str, str], prefix: Path) -> List[Path]:
    """The files in rising precedence. ``PIP_CONFIG_FILE`` naming the null device switches all of them off."""
    chosen = environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return []
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    if sys.platform == "win32":
        shared = [Path(environ.get("ProgramData", "C:\\ProgramData")) / "pip" / "pip.ini"]
        personal = [home / "pip" / "pip.ini", Path(environ.get("APPDATA", str(home))) / "pip" / "pip.ini"]
        site = prefix / "pip.ini"
    elif sys.platform == "darwin":
        shared = [Path("/Library/Application Support/pip/pip.conf")]
        support = home / "Library" / "Application Support" / "pip"
        modern = support if support.is_dir() else home / ".config" / "pip"
        personal = [home / ".pip" / "pip.conf", modern / "pip.conf"]
        site = prefix / "pip.conf"
    else:
        folders = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        shared = [Path(folder) / "pip" / "pip.conf" for folder in folders.split(os.pathsep) if folder]
        shared.append(Path("/etc/pip.conf"))
        personal_folder = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        personal = [home / ".pip" / "pip.conf", personal_folder / "pip" / "pip.conf"]
        site = prefix / "pip.conf"
    last = [Path(chosen)] if chosen else []
    if any(path.exists() for path in last):
        personal = []
    return [path for path in (*shared, *personal, site, *last) if path.exists()]


def _read_file(path: Path) -> Dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        with path.open(encoding="utf-8") as stream:
            parser.read_file(stream)
    except (OSError, configparser.Error, UnicodeDecodeError) as error:
        raise _unusable(f"it cannot be read: {error}", str(path)) from error
    values: Dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            values.update({key.replace("_", "-"): value for key, value in parser.items(section) if value})
    return values


def _truth(name: str, values: Mapping[str, str]) -> bool:
    value = values.get(name, "").strip().lower()
    if value in _FALSE:
        return False
    if value in _TRUE:
        return True
    raise _unusable(f"{name} = {value!r} is neither yes nor no", name)


def _number(name: str, values: Mapping[str, str], default: float) -> float:
    text = values.get(name)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError as error:
        raise _unusable(f"{name} = {text!r} is not a number", name) from error
    if not 0 <= number < 1e6:
        raise _unusable(f"{name} = {text!r} is out of range", name)
    return number


def _unusable(what: str, where: str) -> SourceError:
    return SourceError(
        "BB312",
        f"pip's configuration cannot be used: {what}",
        where=where,
        fix="mend it; `python -m pip config debug` shows which files and variables count",
    )
