"""From marks to judgements: the grounds for ``violation`` first, then the proof, then what remains unproven."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterator, List, Mapping, Optional, Sequence, Tuple

from ...elf import Image
from ...isa import Machine, baseline_of
from ..code import Code, Mark
from ..model import Verdict
from . import choice, detection, explanation
from .discovery import TOTAL_STEPS, Discovery
from .first_load import FirstLoaded, run_at_first
from .importing import run_on_import
from .lateness import Late, late_marks
from .loading import Loaded, run_on_load
from .model import Judgement
from .program import Program
from .reach import Reach
from .ways import OpenWays

_NO_DETECTION = (
    "nothing in this file, nor in another module or library that comes with it, ever asks what the CPU can do, "
    "so nobody can have tested for {features}"
)
_CHOSEN = (
    "nothing asks the CPU, yet only {chooser} hands it out, among functions that need nothing: what it chooses by "
    "cannot be followed"
)
_ON_LOAD = "it runs when the file is loaded, on every path from the {root}"
_AT_FIRST = (
    "it runs when the file is loaded: on every path from the {root} that the first values of the variables it asks "
    "leave open ({variables})"
)
_ON_IMPORT = (
    "the package imports this module in any case, and no import of it succeeds without this, from the {root} on"
)
_TOO_LATE = "it stands before the test of {feature} at {test}, on every path to it: the test comes too late"
_NOT_SOUGHT = "most functions of this file are above the level, so no proof was sought"
_NO_LIFTER = "the guard analysis does not know this machine"
_FIX = "compile it for the promised level, or test the CPU before it is called"
_FIX_LATE = "compile the code that chooses for the promised level"
_UNPROVEN_HINT = "show that it runs with `baseline-build run`, or waive this function and these features with a reason"
_EARLY_HINT = (
    "a smaller file may be decided: link what dispatches into a module of its own; or show that it runs with "
    "`baseline-build run`, or waive this function and these features with a reason"
)
_LIFTED = frozenset([Machine.X86_64, Machine.AARCH64])
# Where more than this share of many functions is above the level, the file was compiled for a higher level as a whole.
_WHOLE_SHARE = 0.5
_WHOLE_FUNCTIONS = 400
_Group = Tuple[int, FrozenSet[str]]


def judge(
    image: Image,
    code: Code,
    marks: Sequence[Mark],
    *,
    detected_elsewhere: bool = False,
    steps: int = TOTAL_STEPS,
) -> Tuple[Judgement, ...]:
    """Judge *marks*, the instructions of *image* above the promised level.

    :param detected_elsewhere: whether another module or library of the same wheel asks what the CPU can do.
    :param steps: how many steps of interpretation may be spent on it.
    """
    if not marks:
        return ()
    if image.machine not in _LIFTED:
        detected = detected_elsewhere or detection.detects(code)
        return tuple(_without_analysis(image, marks, detected=detected))
    judged = _Judge(image, code, marks, detected_elsewhere=detected_elsewhere, steps=steps)
    return tuple(judged.judgements())


def judge_imported(image: Image, code: Code, judgements: Sequence[Judgement]) -> Tuple[Judgement, ...]:
    """*judgements* on an extension module, for the case that its package imports it without any condition."""
    open_ones = [judgement for judgement in judgements if judgement.verdict is Verdict.UNPROVEN]
    if not open_ones or image.machine not in _LIFTED:
        return tuple(judgements)
    addresses = sorted(mark.address for judgement in open_ones for mark in judgement.marks)
    brought = {found.address: found for found in run_on_import(Program(image, code), addresses)}
    return tuple(_brought(judgement, brought) for judgement in judgements)


def _brought(judgement: Judgement, brought: Mapping[int, Loaded]) -> Judgement:
    """*judgement*, or that it is a violation where one of its marks is among the *brought* ones."""
    run = [mark for mark in judgement.marks if mark.address in brought]
    if not run:
        return judgement
    found = brought[run[0].address]
    return Judgement(
        judgement.function, judgement.features, tuple(_first(run, judgement.marks)), Verdict.VIOLATION, "BB101",
        _ON_IMPORT.format(root=found.path[0]), found.path, None, _FIX,
    )  # fmt: skip


def _without_analysis(image: Image, marks: Sequence[Mark], *, detected: bool) -> Iterator[Judgement]:
    groups: Dict[_Group, List[Mark]] = {}
    for mark in marks:
        function = image.function_at(mark.address)
        groups.setdefault((function.address if function else mark.address, mark.features), []).append(mark)
    for (start, features), members in groups.items():
        if detected:
            yield Judgement(
                start, features, tuple(members), Verdict.UNPROVEN, "BB102", _NO_LIFTER, (), None, _UNPROVEN_HINT
            )
        else:
            ground = _NO_DETECTION.format(features=_title(features))
            path = (image.label(start),)
            yield Judgement(start, features, tuple(members), Verdict.VIOLATION, "BB101", ground, path, None, _FIX)


def _title(features: FrozenSet[str]) -> str:
    return "+".join(sorted(features))


class _Judge:
    """Judges one file; what is costly is computed when it is first asked for."""

    def __init__(
        self,
        image: Image,
        code: Code,
        marks: Sequence[Mark],
        *,
        detected_elsewhere: bool,
        steps: int,
    ) -> None:
        self.program = Program(image, code)
        level = baseline_of(image.machine)
        self.always = level.features if level is not None else frozenset()
        self.detected_here = detection.detects(code)
        self.detected = self.detected_here or detected_elsewhere
        self.steps = steps
        self.groups: Dict[_Group, List[Mark]] = {}
        for mark in marks:
            start = self.program.function_of(mark.address)
            self.groups.setdefault((start, mark.features), []).append(mark)
        self.marks = sorted(marks)
        self.loaded: Dict[int, Loaded] = {}
        self.first: Dict[int, FirstLoaded] = {}
        self.late: Dict[int, Late] = {}
        self.ways: Optional[OpenWays] = None

    def judgements(self) -> Iterator[Judgement]:
        """One for each group."""
        if not self.detected:
            yield from self._undetected()
            return
        addresses = [mark.address for mark in self.marks]
        self.loaded = {found.address: found for found in run_on_load(self.program, addresses)}
        self.first = {found.loaded.address: found for found in run_at_first(self.program, addresses, self.loaded)}
        if not self._above_as_a_whole():
            discovery = Discovery(self.program, self.steps)
            discovery.discover()
            self.ways = OpenWays(Reach(discovery))
            self._find_late()
        for group, members in self.groups.items():
            yield self._judged(group, members)

    def _undetected(self) -> Iterator[Judgement]:
        chooser = choice.chooser(self.program, {start for start, _ in self.groups})
        for (start, features), members in self.groups.items():
            if chooser is not None:
                ground = _CHOSEN.format(chooser=self.program.label(chooser))
                path = (self.program.label(chooser), self.program.label(start))
                yield self._unproven((start, features), members, ground, path)
            else:
                ground = _NO_DETECTION.format(features=_title(features))
                yield self._violation(start, features, members, ground, (self.program.label(start),), _FIX)

    def _above_as_a_whole(self) -> bool:
        functions = {start for start, _ in self.groups}
        return len(functions) > _WHOLE_FUNCTIONS and len(functions) > _WHOLE_SHARE * len(self.program.starts)

    def _find_late(self) -> None:
        if self.ways is None:
            return
        by_function: Dict[int, List[Mark]] = {}
        for mark in self.marks:
            by_function.setdefault(self.program.function_of(mark.address), []).append(mark)
        for function, members in by_function.items():
            for late in late_marks(self.ways.reach, function, members):
                self.late[late.mark.address] = late

    def _violation(
        self,
        start: int,
        features: FrozenSet[str],
        members: Sequence[Mark],
        ground: str,
        path: Tuple[str, ...],
        hint: str,
    ) -> Judgement:
        return Judgement(start, features, tuple(members), Verdict.VIOLATION, "BB101", ground, path, None, hint)

    def _judged(self, group: _Group, members: Sequence[Mark]) -> Judgement:
        start, features = group
        on_load = [mark for mark in members if mark.address in self.loaded]
        if on_load:
            found = self.loaded[on_load[0].address]
            ground = _ON_LOAD.format(root=found.path[0])
            return self._violation(start, features, _first(on_load, members), ground, found.path, _FIX)
        first = [mark for mark in members if mark.address in self.first]
        if first:
            run = self.first[first[0].address]
            names = explanation.listed(sorted(variable.name for variable in run.variables))
            ground = _AT_FIRST.format(root=run.loaded.path[0], variables=names)
            return self._violation(start, features, _first(first, members), ground, run.loaded.path, _FIX)
        too_late = [mark for mark in members if mark.address in self.late]
        if too_late:
            late = self.late[too_late[0].address]
            ground = _TOO_LATE.format(feature=late.feature, test=self.program.place(late.test))
            path = self._path(too_late[0])
            return self._violation(start, features, _first(too_late, members), ground, path, _FIX_LATE)
        if self.ways is None:
            return self._unproven(group, members, _NOT_SOUGHT, ())
        return self._proven(self.ways, group, members)

    def _proven(self, ways: OpenWays, group: _Group, members: Sequence[Mark]) -> Judgement:
        start, features = group
        reach = ways.reach
        needed = self.program.facts.needed(features - self.always)
        open_marks = [mark for mark in members if not reach.guarded(mark.address, needed)]
        if not open_marks:
            guard = explanation.guard(reach, members[0].address, needed)
            ground = f"every way to it passes a test for {_title(features)}"
            return Judgement(start, features, tuple(members), Verdict.GUARDED, "BB103", ground, (), guard)
        address = open_marks[0].address
        way = ways.to(address, needed)
        ground = explanation.reason(reach, address, needed, way, detected_here=self.detected_here)
        path = explanation.names(reach, way)
        early = explanation.ended_early(reach)
        if early is None:
            return self._unproven(group, _first(open_marks, members), ground, path)
        ground = f"{early}; as far as it came, {ground}"
        return self._unproven(group, _first(open_marks, members), ground, path, _EARLY_HINT)

    def _unproven(
        self,
        group: _Group,
        members: Sequence[Mark],
        ground: str,
        path: Tuple[str, ...],
        hint: str = _UNPROVEN_HINT,
    ) -> Judgement:
        start, features = group
        return Judgement(start, features, tuple(members), Verdict.UNPROVEN, "BB102", ground, path, None, hint)

    def _path(self, mark: Mark) -> Tuple[str, ...]:
        if self.ways is None:
            return ()
        needed = self.program.facts.needed(mark.features - self.always)
        return explanation.names(self.ways.reach, self.ways.to(mark.address, needed))


def _first(chosen: Sequence[Mark], members: Sequence[Mark]) -> List[Mark]:
    """All *members*, those that decided the verdict first."""
    picked = {mark.address for mark in chosen}
    return [*chosen, *(mark for mark in members if mark.address not in picked)]
