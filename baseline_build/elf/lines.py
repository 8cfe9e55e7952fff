"""Source lines and compile flags of single addresses, through DWARF 4 and 5.

Only the one unit an address lies in is read: reading all lines of a large C++ program costs a minute and a gigabyte.
The unit is found through ``.debug_aranges``, or where that is missing (clang writes none) through the address ranges of
the units themselves. pyelftools reads the DWARF; whatever it stumbles over in damaged files becomes one error.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .debugging import linked
from .line_program import Machine, Parameters, Row
from .model import Image
from .reading import broken

MAX_DEBUG_BYTES = 1 << 30


@dataclass(frozen=True)
class Line:
    """A place in the sources.

    :param flags: what the compiler wrote of its command line (DW_AT_producer): gcc all code-generating options, clang
        nothing but its version unless asked to.
    """

    file: str
    line: int
    flags: Optional[str]


def available(image: Image) -> bool:
    """Whether *image* has DWARF line tables that can be read: of objects only those in sections of the gABI's kind."""
    names = (".debug_line",) if image.kind == "object" else (".debug_line", ".zdebug_line")
    return any(s.name in names for s in image.sections)


class _Stream(io.RawIOBase):
    """The image's bytes as a file, without a copy."""

    def __init__(self, data: memoryview) -> None:
        super().__init__()
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        piece = self._data[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


@contextmanager
def _damage(image: Image) -> Iterator[None]:
    from elftools.common.exceptions import DWARFError, ELFError
    from elftools.construct.core import ConstructError

    try:
        yield
    except (
        DWARFError, ELFError, ConstructError, struct.error, LookupError, ValueError, TypeError, AttributeError,
        AssertionError, ArithmeticError, EOFError, RecursionError, NotImplementedError,
    ) as error:  # fmt: skip
        raise broken(
            "BB409",
            f"its debug information cannot be read ({type(error).__name__}: {error})",
            image.name,
            "The debug information is damaged, or of a kind that pyelftools does not know.",
        ) from error


class Lines:
    """Looks addresses of one image up; to be closed after use.

    Raises BrokenInputError BB409 when the debug information is damaged or above 1 GiB (128 MiB of an object), and what
    :func:`.debugging.linked` raises.
    """

    def __init__(self, image: Image) -> None:
        self.image = image
        debug = sum(s.size for s in image.sections if s.name.startswith((".debug_", ".zdebug_")))
        if debug > MAX_DEBUG_BYTES:
            raise broken("BB409", f"its debug information has {debug >> 20} MiB, more than is read", image.name)
        data = linked(image) if image.kind == "object" else image.data
        self._stream = io.BufferedReader(_Stream(data))
        self._units: Dict[int, Tuple[List[Row], Any, Optional[str]]] = {}
        self._ranges: Optional[List[Tuple[int, int, int]]] = None
        with _damage(image):
            from elftools.elf.elffile import ELFFile

            self._dwarf: Any = ELFFile(self._stream).get_dwarf_info(relocate_dwarf_sections=False)
            self._aranges: Any = self._dwarf.get_aranges()

    def close(self) -> None:
        """Let go of the image's bytes."""
        self._stream.close()

    def locate(self, address: int) -> Optional[Line]:
        """The line *address* was compiled from, ``None`` where no unit covers it. Raises BrokenInputError BB409."""
        with _damage(self.image):
            offset = self._unit_at(address)
            if offset is None:
                return None
            if offset not in self._units:
                self._units[offset] = self._read_unit(offset)
            rows, files, flags = self._units[offset]
            index = bisect_right(rows, (address, 1 << 62, 0)) - 1
            if index < 0 or rows[index][2] == 0:
                return None
            return Line(files(rows[index][1]), rows[index][2], flags)

    def _unit_at(self, address: int) -> Optional[int]:
        if self._aranges is not None:
            offset = self._aranges.cu_offset_at_addr(address)
            if offset is not None:
                return int(offset)
        if self._ranges is None:
            self._ranges = sorted(self._unit_ranges())
        index = bisect_right(self._ranges, (address, 1 << 64, 0)) - 1
        if index >= 0 and address < self._ranges[index][1]:
            return self._ranges[index][2]
        return None

    def _unit_ranges(self) -> Iterator[Tuple[int, int, int]]:
        lists = self._dwarf.range_lists()
        for unit in self._dwarf.iter_CUs():
            top = unit.get_top_DIE()
            attributes = top.attributes
            if "DW_AT_ranges" in attributes and lists is not None:
                base = attributes["DW_AT_low_pc"].value if "DW_AT_low_pc" in attributes else 0
                yield from self._listed(lists, attributes["DW_AT_ranges"].value, base, unit)
            elif "DW_AT_low_pc" in attributes and "DW_AT_high_pc" in attributes:
                low, high = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
                end = high.value if high.form == "DW_FORM_addr" else low + high.value
                yield low, end, unit.cu_offset

    @staticmethod
    def _listed(lists: Any, offset: int, base: int, unit: Any) -> Iterator[Tuple[int, int, int]]:
        for entry in lists.get_range_list_at_offset(offset, cu=unit):
            if hasattr(entry, "base_address"):
                base = entry.base_address
                continue
            shift = 0 if getattr(entry, "is_absolute", False) else base
            yield entry.begin_offset + shift, entry.end_offset + shift, unit.cu_offset

    def _read_unit(self, offset: int) -> Tuple[List[Row], Any, Optional[str]]:
        unit = self._dwarf.get_CU_at(offset)
        top = unit.get_top_DIE()
        producer = top.attributes.get("DW_AT_producer")
        flags = producer.value.decode("utf-8", "backslashreplace") if producer is not None else None
        program = self._dwarf.line_program_for_CU(unit)
        if program is None:
            return [], str, flags
        rows = sorted(self._run(program))
        directory = top.attributes.get("DW_AT_comp_dir")
        home = directory.value.decode("utf-8", "backslashreplace") if directory is not None else ""
        return rows, _Files(program.header, home), flags

    def _run(self, program: Any) -> List[Row]:
        header = program.header
        # DWARF before version 4 does not know instructions of several operations.
        operations = header["maximum_operations_per_instruction"] if header["version"] >= 4 else 1
        parameters = Parameters(
            header["minimum_instruction_length"],
            operations,
            header["line_base"],
            header["line_range"],
            header["opcode_base"],
            tuple(header["standard_opcode_lengths"]),
            "little" if self.image.order == "<" else "big",
        )
        program.stream.seek(program.program_start_offset)
        code = program.stream.read(program.program_end_offset - program.program_start_offset)
        return Machine(code, parameters).run()


class _Files:
    """File numbers of one line program -> paths; counted from 1 before DWARF 5, from 0 since."""

    def __init__(self, header: Any, home: str) -> None:
        self._header = header
        self._home = home
        self._first = 0 if header["version"] >= 5 else 1

    def __call__(self, index: int) -> str:
        entry = self._header["file_entry"][index - self._first]
        name = _text(entry.name)
        if name.startswith("/"):
            return name
        folders = self._header["include_directory"]
        folder = entry.dir_index - self._first
        prefix = _text(folders[folder]) if 0 <= folder < len(folders) else ""
        # The unit's own directory adds nothing a reader needs: paths stay as the build wrote them.
        return f"{prefix}/{name}" if prefix and prefix != self._home else name


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
