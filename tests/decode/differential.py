"""Compares this project's x86 decoder with others on real code.

    python -m tests.decode.differential --instructions 100000000 /usr/lib /usr/bin  # about 5 CPU minutes

decodes the executable segments of the ELF files below the paths until there are that many instructions, asks each
oracle about every distinct encoding among them (see :mod:`.encodings`), prints a table that counts both, and exits
with 1 if a difference has no explanation in ``differences.txt``.

:meth:`Comparison.compare` goes the other way, over a slice of code from end to end: at every place where the oracle
sees an instruction, ours must have the same length. Its starts are handed to the sweep as known entries, so an equal
count of instructions and equal undecoded bytes prove all lengths equal; only where they differ is each place looked at
by itself. Both ways, features are compared with iced's CPUID names for every instruction that the sweep marks or iced
names.
"""

from __future__ import annotations

import argparse
import bisect
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from baseline_build.decode import Instruction, instruction, requirement, sweep
from baseline_build.decode.x86.automaton import states
from baseline_build.decode.x86.engine import walk
from baseline_build.decode.x86.entries import INVALID as INVALID_ENTRY
from baseline_build.decode.x86.entries import SUFFIX_BIT
from baseline_build.decode.x86.generate import read_features
from baseline_build.isa import X86, Machine

from .encodings import Collection, Encoding, build
from .oracles import INVALID, Iced, Oracle, Seen, oracle
from .reserved import repaired

HERE = Path(__file__).parent
MACHINES = {64: Machine.X86_64, 32: Machine.I386}
LOWEST = {64: X86.level("x86-64").features, 32: X86.level("i686").features}
_LONGEST = 15
_PLACEHOLDERS = (("<P>", "(?:(?:4.)*(?:26|2e|36|3e|6[4567]|f[023]))"), ("<R>", "(?:26|2e|36|3e|6[4567]|f[023]|4.)"))
_NOP = b"\x90"
RESERVED = "(reserved)"
_ALIKE = 3  # letters by which two projects' names of one instruction agree
_SLOT = 32  # bytes for one that is no instruction: what is read of it as one ends before the next


class Difference(NamedTuple):
    """Ours and theirs at one place."""

    oracle: str
    bits: int
    data: bytes
    ours: str
    theirs: str


class Rule(NamedTuple):
    """A row of ``differences.txt``: patterns on oracle, bytes, ours, theirs; and why."""

    oracle: re.Pattern[str]
    data: re.Pattern[str]
    ours: re.Pattern[str]
    theirs: re.Pattern[str]
    why: str

    def explains(self, found: Difference) -> bool:
        """Whether all four patterns match in full (the bytes: from the start)."""
        return bool(
            self.oracle.fullmatch(found.oracle)
            and self.data.match(found.data.hex())
            and self.ours.fullmatch(found.ours)
            and self.theirs.fullmatch(found.theirs)
        )


def rules() -> List[Rule]:
    """The checked-in explanations."""
    found = []
    for line in (HERE / "differences.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            *patterns, why = (cell.strip() for cell in line.split(" | "))
            for name, meaning in _PLACEHOLDERS:
                patterns[1] = patterns[1].replace(name, meaning)
            name_of, data, ours, theirs = (re.compile(pattern) for pattern in patterns)
            found.append(Rule(name_of, data, ours, theirs, why))
    return found


class Code(NamedTuple):
    """An executable segment."""

    path: Path
    bits: int
    address: int
    data: bytes


def code_of(path: Path) -> Iterator[Code]:
    """The executable segments of an x86 ELF file; nothing for other files."""
    with path.open("rb") as handle:
        if handle.read(4) != b"\x7fELF":
            return
        handle.seek(0)
        try:
            image = ELFFile(handle)
            if image["e_machine"] not in ("EM_X86_64", "EM_386") or image["e_type"] not in ("ET_EXEC", "ET_DYN"):
                return
            for segment in image.iter_segments():
                if segment["p_type"] == "PT_LOAD" and segment["p_flags"] & 1:
                    yield Code(path, image.elfclass, segment["p_vaddr"], segment.data())
        except ELFError:
            return


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files below *paths*, each once, the largest of a folder first."""
    seen = set()
    for path in paths:
        below = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
        for item in sorted(below, key=lambda item: (-item.stat().st_size, item)):
            real = item.resolve()
            if real not in seen:
                seen.add(real)
                yield real


def _needs(iced: Iced, lowest: FrozenSet[str]) -> Dict[int, FrozenSet[str]]:
    """iced's code numbers -> features under gcc's names, of those that need more than *lowest*."""
    gcc = read_features()
    found = {}
    for number, names in iced.needs.items():
        needs = frozenset(gcc[name] for name in names) - {"-", "absent"}
        if needs & {"f16c", "fma"}:
            needs -= {"avx"}  # implied
        if not needs <= lowest:
            found[number] = needs
    return found


def length_at(mode: int, code: bytes, offset: int) -> int:
    """Our length of the instruction at ``code[offset:]``, 0 where there is none; faster than ``instruction``."""
    window = code[offset : offset + _LONGEST] + bytes(2 * _LONGEST)
    machine = states(mode)
    entry, steps = walk(machine, window)
    length = len(steps) - 1 + (entry & 15)
    if entry == INVALID_ENTRY or length > _LONGEST or offset + length > len(code):
        return 0
    return 0 if entry & SUFFIX_BIT and machine.suffixes[window[length - 1]] < 0 else length


def described(found: Instruction, length: int) -> str:
    """How *found* is written in ``differences.txt``."""
    return f"{found.mnemonic}:{length} {'+'.join(sorted(found.features))}" if length else INVALID


class Comparison:
    """What has been compared with one oracle so far."""

    def __init__(self, theirs: Oracle) -> None:
        self.oracle = theirs
        self.rules = rules()
        self.instructions = 0
        self.distinct = 0  # encodings the oracle was asked about, where each was asked about once
        self.bytes = 0
        self.seconds = 0.0
        self.features = 0
        self.explained: Counter[str] = Counter()
        self.unexplained: Counter[Tuple[str, str]] = Counter()
        self.examples: Dict[Tuple[str, str], Difference] = {}
        self._doubtful: List[Tuple[Difference, int]] = []
        self._needs = {bits: _needs(theirs, LOWEST[bits]) for bits in MACHINES} if isinstance(theirs, Iced) else {}

    def compare(self, code: Code) -> None:
        """Compares all of *code*."""
        offset = 0
        while offset < len(code.data):
            data = code.data[offset : offset + self.oracle.stretch]
            started = time.perf_counter()
            seen = self.oracle.decode(code.bits, data, code.address + offset)
            self.seconds += time.perf_counter() - started
            if offset + len(data) < len(code.data):
                # The tail may be cut inside an instruction: it begins the next stretch.
                keep = bisect.bisect_left(seen.starts, len(data) - 2 * _LONGEST)
                seen = seen._replace(starts=seen.starts[:keep], end=seen.starts[keep])
            self._compare(code.bits, data[: seen.end], code.address + offset, seen)
            offset += seen.end
        self._settle()

    def _compare(self, bits: int, data: bytes, address: int, seen: Seen) -> None:
        swept = sweep(MACHINES[bits], data, address, [address + start for start in seen.starts])
        invalid = sum(1 for start in seen.invalid if start < seen.end)
        self.instructions += len(seen.starts) - invalid
        self.bytes += len(data)
        undecoded = sum(length for _, length in swept.undecoded)
        if swept.instructions != len(seen.starts) or undecoded or invalid:
            ends = [*seen.starts[1:], seen.end]
            for index, (start, end) in enumerate(zip(seen.starts, ends)):
                self._compare_length(bits, data, address, start, end - start, seen, index)
        if isinstance(self.oracle, Iced):
            self._compare_features(bits, data, address, seen, dict(zip(swept.mark_addresses, swept.mark_requirements)))

    def _compare_length(
        self, bits: int, data: bytes, address: int, start: int, length: int, seen: Seen, index: int
    ) -> None:
        mine = length_at(bits, data, start)
        theirs = 0 if start in seen.invalid else length
        window = data[start : start + _LONGEST]
        if mine == theirs or (not mine and len(window) < _LONGEST):
            return  # equal, or cut off by the end of the stretch
        ours = instruction(MACHINES[bits], data, address, start)
        theirs_text = f"{self.oracle.called(seen, index)}:{theirs}" if theirs else INVALID
        self._record(Difference(self.oracle.name, bits, window, described(ours, mine), theirs_text))

    def _compare_features(self, bits: int, data: bytes, address: int, seen: Seen, marks: Dict[int, int]) -> None:
        needs = self._needs[bits]
        theirs = {address + start: needs[number] for start, number in zip(seen.starts, seen.numbers) if number in needs}
        self.features += len(theirs)
        mine = {place: requirement(MACHINES[bits], number) for place, number in marks.items()}
        if mine == theirs:
            return
        for place in (mine.keys() | theirs.keys()) & {address + start for start in seen.starts}:
            ours, others = mine.get(place, frozenset()), theirs.get(place, frozenset())
            if ours != others and place - address not in seen.invalid:
                window = data[place - address : place - address + _LONGEST]
                text = "+".join(sorted(ours)) or "none", "+".join(sorted(others)) or "none"
                self._record(Difference("iced-features", bits, window, *text))

    def compare_encodings(self, found: Iterable[Encoding]) -> None:
        """Compares each of *found* by itself; they count as often as they were met."""
        groups: Dict[Tuple[int, bool], List[Encoding]] = {}
        for one in found:
            groups.setdefault((one.bits, bool(one.length)), []).append(one)
            self.instructions += one.times if one.length else 0
            self.distinct += 1
        for (bits, valid), members in groups.items():
            while members:
                members = self._round(bits, members, valid)
        self._settle()

    def _round(self, bits: int, members: List[Encoding], valid: bool) -> List[Encoding]:
        """Asks the oracle about *members* one behind the other. Returns those it did not come to: where it sees another
        length, it may step over the beginnings of the next few."""
        missed: List[Encoding] = []
        share = max(1, self.oracle.stretch // (8 if valid else _SLOT))
        for first in range(0, len(members), share):
            part = members[first : first + share]
            codes = [one.code if valid else one.data + _NOP * (_SLOT - _LONGEST) for one in part]
            data = b"".join(codes) + _NOP * _SLOT
            started = time.perf_counter()
            seen = self.oracle.decode(bits, data, 0)
            self.seconds += time.perf_counter() - started
            self.bytes += len(data)
            places = list(accumulate(map(len, codes), initial=0))
            missed += self._compare_members(part, places, seen)
        return missed

    def _compare_members(self, part: Sequence[Encoding], places: Sequence[int], seen: Seen) -> Iterator[Encoding]:
        indices = dict(zip(seen.starts, range(len(seen.starts))))
        ends = [*seen.starts[1:], seen.end]
        for one, place in zip(part, places):
            index = indices.get(place)
            if index is None:
                yield one
                continue
            theirs = 0 if place in seen.invalid else ends[index] - place
            if theirs != one.length or (theirs and self._unknown(one)):
                ours_text = described(instruction(MACHINES[one.bits], one.data, 0), one.length)
                theirs_text = f"{self.oracle.called(seen, index)}:{theirs}" if theirs else INVALID
                self._record(Difference(self.oracle.name, one.bits, one.data, ours_text, theirs_text), one.times)
            elif one.length and isinstance(self.oracle, Iced):
                self._compare_needs(one, seen.numbers[index])

    def _unknown(self, one: Encoding) -> bool:
        """Whether this project can only say that *one* is above the baseline: another decoder should not know more."""
        return "unknown" in requirement(MACHINES[one.bits], one.requirement)

    def _compare_needs(self, one: Encoding, number: int) -> None:
        theirs = self._needs[one.bits].get(number, frozenset())
        ours = requirement(MACHINES[one.bits], one.requirement)
        self.features += one.times if theirs else 0
        if ours != theirs:
            text = "+".join(sorted(ours)) or "none", "+".join(sorted(theirs)) or "none"
            self._record(Difference("iced-features", one.bits, one.data, *text), one.times)

    def _record(self, found: Difference, count: int = 1) -> None:
        if self._explained(found, count):
            return
        if found.theirs == INVALID and next(repaired(found.data), None) is not None:
            self._doubtful.append((found, count))
        else:
            self._unexplained(found, count)

    def _explained(self, found: Difference, count: int) -> bool:
        for rule in self.rules:
            if rule.explains(found):
                self.explained[rule.why] += count
                return True
        return False

    def _unexplained(self, found: Difference, count: int) -> None:
        key = (found.ours, found.theirs)
        self.unexplained[key] += count
        self.examples.setdefault(key, found)

    def _settle(self) -> None:
        """Asks about what the oracle refused once more, with the fields put right that may be reserved."""
        doubtful, self._doubtful = self._doubtful, []
        for found, count in doubtful:
            variants = list(repaired(found.data))
            data = b"".join(variant.ljust(_SLOT, _NOP) for variant in variants) + _NOP * _SLOT
            seen = self.oracle.decode(found.bits, data, 0)
            ends = dict(zip(seen.starts, zip(range(len(seen.starts)), [*seen.starts[1:], seen.end])))
            name, length = re.split(r"[: ]", found.ours)[:2]
            valid = False
            for slot in range(0, _SLOT * len(variants), _SLOT):
                index, end = ends.get(slot, (0, 0))
                same = self.oracle.called(seen, index)[:_ALIKE] == name[:_ALIKE] if end else False
                valid = valid or (same and end == slot + int(length) and slot not in seen.invalid)
            if not (valid and self._explained(found._replace(theirs=RESERVED), count)):
                self._unexplained(found, count)

    def report(self) -> List[str]:
        """Lines for people."""
        rate = self.bytes / self.seconds / 1e6 if self.seconds else 0
        done = f"{self.instructions:,} instructions"
        if self.distinct:
            done += f", {self.distinct:,} distinct encodings,"
        done += f" in {self.bytes / 1e6:,.1f} MB ({rate:.1f} MB/s theirs)"
        explained, open_ones = sum(self.explained.values()), sum(self.unexplained.values())
        counts = f"{self.features:,} features compared, {explained:,} differences explained, {open_ones:,} not"
        lines = [f"{self.oracle.name}: {done}, {counts}"]
        lines += [f"    {count:>9,} {why}" for why, count in self.explained.most_common()]
        for key, count in self.unexplained.most_common(40):
            found = self.examples[key]
            lines.append(f"  ! {count:>9,} {found.bits}-bit {found.data.hex()} ours {found.ours} theirs {found.theirs}")
        return lines


def collect(paths: Iterable[Path], limit: int, compiler: str, *, progress: bool = False) -> Collection:
    """The distinct encodings of the code of *paths*, read until there are *limit* instructions."""
    with tempfile.TemporaryDirectory() as folder:
        found = Collection(build(Path(folder), compiler))
    for path in files(paths):
        if found.instructions >= limit:
            break
        for code in code_of(path):
            found.add(code.bits, code.data)
            if progress:
                sys.stderr.write(f"{found.instructions:,} instructions, {len(found):,} encodings {path}\n")
    return found


def run(found: Collection, oracles: Sequence[Oracle]) -> List[Comparison]:
    """Compares the encodings of *found* with each of *oracles*."""
    comparisons = [Comparison(theirs) for theirs in oracles]
    for comparison in comparisons:
        comparison.compare_encodings(found.encodings())
    return comparisons


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--instructions", type=int, default=100_000_000, help="for each oracle")
    parser.add_argument("--oracles", default="iced,capstone,objdump,llvm")
    options = parser.parse_args(arguments)
    programs = {
        "objdump": shutil.which("objdump"),
        "llvm": shutil.which("llvm-objdump-22"),
    }
    oracles = [oracle(name, programs.get(name)) for name in options.oracles.split(",")]
    compiler = shutil.which("cc") or parser.error("no C compiler: cc is not on PATH")
    found = collect(options.paths, options.instructions, compiler, progress=True)
    print(f"{found.instructions:,} instructions, {found.undecoded:,} bytes that are none, {len(found):,} encodings")
    comparisons = []
    for theirs in oracles:
        comparisons += run(found, [theirs])
        print("\n".join(comparisons[-1].report()), flush=True)
    return 1 if any(comparison.unexplained for comparison in comparisons) else 0


if __name__ == "__main__":
    sys.exit(main())
