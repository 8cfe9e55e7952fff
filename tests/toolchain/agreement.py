"""Does ``flags.txt`` agree with the compilers that are installed? ``python -m tests.toolchain.agreement``.

Every ``-m`` option a compiler lists must have a row. What a row says is checked by what the option does: with it, the
compiler's predefined macros name more instruction set extensions than without, or they don't.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import Iterator

from baseline_build.toolchain.tables import Kind, meaning, row_for

LEVEL = {"x86": ("x86-64", "x86-64", "-march=x86-64"), "aarch64": ("aarch64", "armv8-a", "-march=armv8-a")}
# Extensions whose macro is not simply __NAME__.
_EXTENSION = re.compile(
    r"__(MMX|SSE\w*|SSSE3|AVX\w*|AMX\w*|APX\w*|EGPR|3dNOW\w*|ADX|AES|BMI2?|CLDEMOTE|CLFLUSHOPT|CLWB|CLZERO|CMPCCXADD|"
    r"CRC32|ENQCMD|F16C|FMA4?|FSGSBASE|FXSR|GFNI|HLE|HRESET|INVPCID|KL|LAHF_SAHF|LWP|LZCNT|MOVBE|MOVDIR64B|MOVDIRI|MWAITX|"
    r"PCLMUL|PCONFIG|PKU|POPCNT|PREFETCHI|PREFETCHWT1|PRFCHW|PTWRITE|RAOINT|RDPID|RDPRU|RDRND|RDSEED|RTM|SERIALIZE|SGX|"
    r"SHA\d*|SM[34]|TBM|TSXLDTRK|UINTR|USER_?MSR|VAES|VPCLMULQDQ|WAITPKG|WBNOINVD|WIDEKL|XOP|XSAVE\w*|"
    r"GCC_HAVE_SYNC_COMPARE_AND_SWAP_16|ARM_FEATURE_\w+)(?:__)? "
)
# 32-bit and 16-bit code have LAHF from the beginning, so that the macro comes with the mode, not with an extension.
_OTHER_MODE = frozenset(("-m16", "-m32", "-miamcu"))
# Extensions no macro stands for: HLE is RTM's older half, MONITOR and MWAIT came with SSE3, PCOMMIT was withdrawn.
_WITHOUT_MACRO = frozenset(("-mhle", "-mmwait", "-mpcommit"))


def macros(compiler: str, *options: str) -> set[str] | None:
    """Extension macros *compiler* defines with *options*; ``None`` where it does not take them."""
    command = [compiler, *options, "-dM", "-E", "-x", "c", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    return {match.group(1) for match in _EXTENSION.finditer(done.stdout)}


def listed(compiler: str) -> list[str]:
    """The ``-m`` options *compiler* lists, without those whose value is free."""
    if "clang" in compiler:
        text = subprocess.run([compiler, "--autocomplete=-m"], capture_output=True, text=True, check=True).stdout
        names = [line.split("\t")[0] for line in text.splitlines()]
    else:
        text = subprocess.run([compiler, "--help=target"], capture_output=True, text=True, check=True).stdout
        names = re.findall(r"^  (-m[^\s]*)", text, re.MULTILINE)
    return sorted({re.sub(r"<.*", "", name) for name in names if re.match(r"-m\w", name)})


def disagreements(compiler: str, family: str) -> Iterator[str]:
    """Sentences on options of *compiler* that have no row, or a row that says something else than the option does."""
    machine, level, arch = LEVEL[family]
    before = macros(compiler, arch)
    assert before, f"{compiler} does not compile for {machine}"
    for option in listed(compiler):
        row = row_for(option, family)
        if option.endswith("=") or (row is not None and row.kind in (Kind.ARCH, Kind.TUNE)):
            if row is None and "clang" not in compiler:
                yield f"{compiler}: {option} has no row"
            continue
        after = macros(compiler, arch, option)
        if after is None:
            continue  # listed for other machines only, or needs a value
        dropped = meaning(option, machine, level).dropped
        if option in _OTHER_MODE | _WITHOUT_MACRO:
            continue
        if row is None and (after - before or "clang" not in compiler):  # clang's list is that of all its machines
            yield f"{compiler}: {option} has no row; it adds {sorted(after - before) or 'nothing'}"
        elif after - before and not dropped:
            yield f"{compiler}: {option} adds {sorted(after - before)} and would be passed on"
        elif dropped and row is not None and row.kind is Kind.ISA and not after - before:
            yield f"{compiler}: {option} is dropped as an extension and adds no macro"


def main() -> int:
    """Print all disagreements of the compilers found; 1 if there are any."""
    found = []
    for name, family in (("gcc", "x86"), ("clang", "x86"), ("aarch64-linux-gnu-gcc", "aarch64")):
        path = shutil.which(name)
        if path is None:
            print(f"{name}: not installed, not compared")
            continue
        found.extend(disagreements(path, family))
        print(f"{name}: {len(listed(path))} options compared")
    print("\n".join(found) or "the table agrees")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
