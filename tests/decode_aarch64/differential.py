"""Differential test of the ARM64 decoder: every distinct word of real files against LLVM, objdump and capstone.

The long tier (needs numpy and the tools; 100 million words of Debian's arm64 packages and arm64 wheels)::

    python -m tests.decode_aarch64.differential --words 100000000 FOLDER_OR_FILE…

Words are collected from the code regions of the files, deduplicated with their counts, and each distinct one is put to
the oracles:

* LLVM's disassembler (C interface; what it calls *potentially undefined* is asked again through ``llvm-mc``): is it
  allocated; does it decode with the features the table says, and not with the baseline alone;
* objdump: is it allocated, is it the same mnemonic;
* capstone: is it allocated.

Every difference must match a row of ``differences.txt``; the rest is printed and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, FrozenSet, Iterable, Iterator, List, Optional, Sequence, Tuple

import capstone

from baseline_build import elf
from baseline_build.decode.aarch64.table import Row, row_of
from baseline_build.errors import BrokenInputError
from baseline_build.isa import AARCH64, Machine

from . import llvm

HERE = Path(__file__).parent
DIFFERENCES = HERE / "differences.txt"
_AT_ONCE = 20_000_000  # words that are sorted together
BASELINE = AARCH64.level("armv8-a").features

# LLVM's names of features where they are not ours.
LLVM_NAMES = {
    "fp": "fp-armv8", "simd": "neon", "fp16": "fullfp16", "memtag": "mte", "frintts": "fptoint", "flagm2": "altnzcv",
    "fcma": "complxnum", "jscvt": "jsconv", "dpb": "ccpp", "dpb2": "ccdp", "rcpc2": "rcpc-immo", "rng": "rand",
    "i8mm": "i8mm", "rdm": "rdm", "hbc": "hbc", "uao": "uaops", "wfxt": "wfxt", "sve-aes2": "sve2,+sve-aes2",
}  # fmt: skip


@dataclass(frozen=True)
class Explained:
    """A row of ``differences.txt``: words of that pattern may differ from that oracle, for that reason.

    :param ours: what the table says: a mnemonic, ``+feature``, ``unallocated``, or ``*`` for anything.
    :param theirs: what the oracle says: ``unallocated``, a mnemonic, or ``*`` for anything.
    """

    oracle: str
    mask: int
    value: int
    ours: str
    theirs: str
    reason: str

    def covers(self, difference: Difference) -> bool:
        """Whether the row explains *difference*."""
        return (
            self.oracle == difference.oracle
            and difference.word & self.mask == self.value
            and self.ours in {"*", difference.ours.split()[0], *_features_told(difference.ours)}
            and self.theirs in {"*", difference.theirs.split()[0]}
        )


@dataclass(frozen=True)
class Difference:
    """What an oracle says of a word, against the table."""

    oracle: str
    word: int
    ours: str
    theirs: str


def explanations() -> Tuple[Explained, ...]:
    """The checked-in list: oracle | mask | value | ours | theirs | reason."""
    found = []
    for line in DIFFERENCES.read_text(encoding="utf-8").splitlines():
        text = line.split("#", 1)[0].strip()
        if text:
            oracle, mask, value, ours, theirs, reason = (cell.strip() for cell in text.split("|", 5))
            found.append(Explained(oracle, int(mask, 16), int(value, 16), ours, theirs, reason))
    return tuple(found)


def explain(difference: Difference, known: Sequence[Explained]) -> Optional[Explained]:
    """The row that explains *difference*, else ``None``."""
    for row in known:
        if row.covers(difference):
            return row
    return None


class Llvm:
    """LLVM: allocated or not, with the features the table names, and not without them."""

    def __init__(self) -> None:
        lib = llvm.library()
        if lib is None:
            raise RuntimeError("libLLVM 22 is not installed")
        self._lib = lib
        self._all = llvm.Disassembler(lib, "+all")
        self._sets: Dict[FrozenSet[str], llvm.Disassembler] = {}

    def _with(self, features: FrozenSet[str]) -> llvm.Disassembler:
        found = self._sets.get(features)
        if found is None:
            names = [f"+{LLVM_NAMES.get(name, name)}" for name in sorted(features | BASELINE)]
            found = self._sets[features] = llvm.Disassembler(self._lib, ",".join(names))
        return found

    def differences(self, words: Iterable[int]) -> Iterator[Difference]:
        """All differences among *words*."""
        missing: List[Tuple[int, Row]] = []
        for word in words:
            row = row_of(word)
            if self._all.decodes(word):
                if not row.valid:
                    yield Difference("llvm", word, "unallocated", self._all.text(word) or "")
                    continue
                alone = self._with(frozenset()).decodes(word)
                if alone != (row.features <= BASELINE):
                    yield Difference("llvm", word, _told(row), "baseline" if alone else "above the baseline")
                elif not alone and not self._with(row.features).decodes(word):
                    yield Difference("llvm", word, _told(row), "needs other features")
            elif row.valid:
                missing.append((word, row))
        undefined = set(unallocated_for_llvm_mc([word for word, _ in missing]))
        for word, row in missing:
            if word in undefined:
                yield Difference("llvm", word, _told(row), "unallocated")


def _features_told(ours: str) -> List[str]:
    return [f"+{name}" for name in ours.partition("[")[2].rstrip("]").split()]


def _told(row: Row) -> str:
    return f"{row.mnemonic} [{' '.join(sorted(row.features))}]" if row.valid else "unallocated"


def unallocated_for_llvm_mc(words: Sequence[int]) -> List[int]:
    """Those of *words* that ``llvm-mc`` calls invalid; potentially undefined ones are not among them."""
    tool = shutil.which("llvm-mc-22")
    if tool is None:
        raise RuntimeError("llvm-mc-22 is not installed")
    found = []
    for start in range(0, len(words), 20000):
        part = words[start : start + 20000]
        text = "\n".join(" ".join(f"0x{byte:02x}" for byte in word.to_bytes(4, "little")) for word in part)
        done = subprocess.run(
            [tool, "-disassemble", "-triple=aarch64", "-mattr=+all"],
            input=text, capture_output=True, text=True, check=False,
        )  # fmt: skip
        lines = re.finditer(r"<stdin>:(\d+):\d+: warning: invalid instruction", done.stderr)
        found.extend(part[int(line[1]) - 1] for line in lines)
    return found


class Objdump:
    """GNU objdump: allocated or not, and the mnemonic."""

    def __init__(self) -> None:
        tool = shutil.which("aarch64-linux-gnu-objdump")
        if tool is None:
            raise RuntimeError("aarch64-linux-gnu-objdump is not installed")
        self._tool = tool

    def _texts(self, words: Sequence[int]) -> Iterator[Tuple[int, str]]:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"".join(word.to_bytes(4, "little") for word in words))
            file.flush()
            command = [self._tool, "-D", "-z", "-b", "binary", "-m", "aarch64", "-M", "no-aliases,no-notes", file.name]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    cells = line.rstrip("\n").split("\t")
                    if len(cells) >= 3:
                        yield int(cells[1].strip(), 16), cells[2].strip()
            if process.returncode:
                raise RuntimeError(f"objdump ended with {process.returncode}")

    def differences(self, words: Sequence[int]) -> Iterator[Difference]:
        """All differences among *words*."""
        for word, name in self._texts(words):
            row = row_of(word)
            invalid = name.startswith((".", "undefined"))
            if invalid == row.valid:
                yield Difference("objdump", word, _told(row), "unallocated" if invalid else name)
            elif row.valid and not _same(name, row.mnemonic):
                yield Difference("objdump", word, _told(row), name)


def _same(theirs: str, ours: str) -> bool:
    """Whether two mnemonics name one instruction: conditions are written out by objdump only."""
    if theirs == ours:
        return True
    base = ours.split(".")[0]
    return ours.endswith(".cond") and theirs.split(".")[0] == base


class Capstone:
    """capstone: allocated or not."""

    def __init__(self) -> None:
        self._decoder = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)

    def differences(self, words: Iterable[int]) -> Iterator[Difference]:
        """All differences among *words*."""
        for word in words:
            row = row_of(word)
            text = next(self._decoder.disasm_lite(word.to_bytes(4, "little"), 0, 1), None)
            if (text is not None) != row.valid:
                yield Difference("capstone", word, _told(row), "unallocated" if text is None else text[2])


def code_of(path: Path) -> Iterator[bytes]:
    """The code of the ARM64 ELF file *path*, without declared data; nothing for other files."""
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return
    try:
        image = elf.parse(path.read_bytes(), str(path))
    except BrokenInputError:
        return  # files for other tests of the package, broken on purpose
    if image.machine is not Machine.AARCH64:
        return
    for region in image.regions:
        start = region.address
        for low, high in (*image.data_ranges, (region.end, region.end)):
            if low >= start and low <= region.end:
                aligned = -(-start // 4) * 4 - region.address
                yield bytes(region.data[aligned : (low // 4 * 4) - region.address])
            start = max(start, high) if low < region.end else start


def files_of(paths: Sequence[Path]) -> Iterator[Path]:
    """Regular files below *paths*, in order."""
    for path in paths:
        if path.is_dir():
            yield from (found for found in sorted(path.rglob("*")) if found.is_file() and not found.is_symlink())
        else:
            yield path


def collect(paths: Sequence[Path], limit: int) -> Tuple[List[int], List[int], int]:
    """Distinct words, their counts, and how many words that were, from files of *paths* until *limit* is reached."""
    import numpy as np

    total = waiting = 0
    words = np.empty(0, np.uint32)
    counts = np.empty(0, np.int64)
    fresh = []
    for path in (*files_of(paths), None):
        for code in code_of(path) if path else ():
            fresh.append(np.frombuffer(code, "<u4"))
            waiting += len(fresh[-1])
        if waiting and (waiting >= _AT_ONCE or total + waiting >= limit or path is None):
            some, their_counts = np.unique(np.concatenate(fresh), return_counts=True)
            both = np.concatenate([words, some])
            words, inverse = np.unique(both, return_inverse=True)
            counts = np.bincount(inverse, np.concatenate([counts, their_counts]), len(words)).astype(np.int64)
            total, waiting, fresh = total + waiting, 0, []
        if total >= limit:
            break
    return words.tolist(), counts.tolist(), total


def report(name: str, found: Iterable[Difference], counts: Dict[int, int], known: Sequence[Explained]) -> int:
    """Print what one oracle said; how many distinct words differ without an explanation."""
    by_reason: Counter[str] = Counter()
    occurrences: Counter[str] = Counter()
    unexplained: List[Difference] = []
    for difference in found:
        row = explain(difference, known)
        if row is None:
            unexplained.append(difference)
            continue
        by_reason[row.reason] += 1
        occurrences[row.reason] += counts[difference.word]
    print(f"{name}: {sum(by_reason.values())} explained, {len(unexplained)} unexplained")
    for reason, number in by_reason.most_common():
        print(f"  {number:8} words, {occurrences[reason]:9} times: {reason}")
    groups: Dict[Tuple[str, str], List[int]] = {}
    for difference in unexplained:
        groups.setdefault((difference.ours, difference.theirs.split("\t")[0]), []).append(difference.word)
    for (ours, theirs), words in groups.items():
        sample = " ".join(f"{word:08x}" for word in words[:6])
        print(f"  {ours} / {theirs}: {len(words)} words, {sum(counts[word] for word in words)} times: {sample}")
    sys.stdout.flush()
    return len(unexplained)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the long tier over the files named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--words", type=int, default=100_000_000, help="stop reading files after so many words")
    parser.add_argument("--only", choices=("llvm", "objdump", "capstone"), action="append")
    options = parser.parse_args(arguments)
    words, counts, total = collect(options.paths, options.words)
    print(f"{total} words, {len(words)} distinct", flush=True)
    by_word = dict(zip(words, counts))
    known = explanations()
    failed = 0
    for name, oracle in (("llvm", Llvm), ("objdump", Objdump), ("capstone", Capstone)):
        if not options.only or name in options.only:
            failed += report(name, oracle().differences(words), by_word, known)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
