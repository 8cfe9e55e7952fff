"""Declaring a level where the code needs it: loader and auditwheel then refuse the file, all else still works."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from baseline_build import elf
from baseline_build.cli import main
from baseline_build.elf import marker
from baseline_build.errors import ConfigError
from baseline_build.repair import marking
from tests.tools import require_tool

from .wheels import PROGRAM, compile_file, make_wheel, plain_auditwheel, unpacked, x86_only

NEVER = 'if (__builtin_return_address(0) == (void *)1) __asm__ volatile ("vzeroupper");'
LIBRARY = "int answer(void) { " + NEVER + " return 42; }\n"


BARE = """
#include <stdio.h>
#include <stdlib.h>
void start(void) { %s puts("hello"); exit(0); }
"""
USER = """
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **names) {
    void *library = dlopen(names[1], RTLD_NOW);
    if (!library) { puts(dlerror()); return 1; }
    return ((int (*)(void))dlsym(library, "answer"))();
}
"""


@pytest.mark.parametrize(
    "flags", [["-pie"], ["-no-pie"], ["-pie", "-Wl,-z,noseparate-code"]], ids=["pie", "exec", "old"]
)
@pytest.mark.parametrize("noted", [True, False])
def test_programs(tmp_path: Path, flags: list[str], noted: bool) -> None:
    x86_only()
    qemu = require_tool("qemu-x86_64", "qemu-x86_64-static")
    program = compile_file(tmp_path / "tool", PROGRAM.format(code=NEVER), *flags)
    if not noted:
        # The start files of some distributions have the note, and the linker hands it on.
        program = compile_file(
            tmp_path / "tool", BARE % NEVER, *flags, "-nostartfiles", "-Wl,-e,start", "-mstackrealign"
        )
        assert marker.needed(elf.parse(program.read_bytes(), "tool")) is None
    assert main(["mark", "-w", str(tmp_path / "out"), str(program)]) == 0
    marked = tmp_path / "out" / "tool"
    assert marker.needed(elf.parse(marked.read_bytes(), "tool")) == "x86-64-v3"
    ran = subprocess.run([str(marked)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "hello\n")
    old = subprocess.run([qemu, "-cpu", "Nehalem", str(marked)], capture_output=True, text=True, check=False)
    assert old.returncode != 0
    assert "CPU ISA level is lower than required" in old.stderr
    for check in (["readelf", "-aW"], ["objdump", "-x"]):
        done = subprocess.run([*check, str(marked)], capture_output=True, text=True, check=True)
        assert "arning" not in done.stderr + done.stdout


@pytest.mark.parametrize("stripped", [False, True])
def test_libraries(tmp_path: Path, stripped: bool) -> None:
    x86_only()
    qemu = require_tool("qemu-x86_64", "qemu-x86_64-static")
    library = compile_file(tmp_path / "libanswer.so", LIBRARY, "-shared", "-fPIC", *(["-s"] if stripped else []))
    assert marker.needed(elf.parse(library.read_bytes(), "lib")) is None
    wheel = make_wheel(tmp_path, {"thing/libanswer.so": library})
    assert main(["mark", "-w", str(tmp_path / "out"), str(wheel)]) == 0
    marked = unpacked(tmp_path / "out" / wheel.name, "thing/libanswer.so", tmp_path / "out")
    assert marker.needed(elf.parse(marked.read_bytes(), "lib")) == "x86-64-v3"
    program = compile_file(tmp_path / "user", USER)
    assert subprocess.run([str(program), str(marked)], check=False).returncode == 42
    refused = subprocess.run(
        [qemu, "-cpu", "Nehalem", str(program), str(marked)], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "CPU ISA level is lower than required" in refused.stdout
    plain = plain_auditwheel(tmp_path / "out" / wheel.name, tmp_path / "plain")
    assert "depends on unsupported ISA extensions" in plain.stderr


def test_clean_files_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x86_only()
    program = compile_file(tmp_path / "tool", PROGRAM.format(code=""))
    assert main(["mark", "-w", str(tmp_path / "out"), str(program)]) == 0
    assert capsys.readouterr().err == f"{program}: nothing to mark, clean\n"
    assert not (tmp_path / "out").exists()


def test_objects_cannot_declare(tmp_path: Path) -> None:
    x86_only()
    made = compile_file(tmp_path / "x.o", LIBRARY, "-c")
    with pytest.raises(ConfigError) as caught:
        marking.declaring(made.read_bytes(), "x86-64-v3", "x.o")
    assert caught.value.what == "this file (object, x86-64) cannot declare a level"
