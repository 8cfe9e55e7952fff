"""Several files at once: worker processes that are handed one file after the other.

The workers are plain interpreters started with this package's location, not ``multiprocessing`` children: those import
the caller's main program again, which a library must not ask for.
"""

from __future__ import annotations

import mmap
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Callable, Iterator, List, Optional, Sequence, Tuple, Union

from ..elf.reading import Buffer
from ..errors import BaselineBuildError, InternalError
from ..wheel import WheelFile, open_wheel
from .examination import Examined, examine
from .options import ScanOptions

WORTH_IT = 24 << 20  # bytes of native code below which starting a process costs more than it saves

_BOOTSTRAP = "import sys; sys.path.insert(0, sys.argv[1]); from {package}.scan.workers import serve; serve()"


@dataclass(frozen=True)
class Job:
    """A file to examine.

    :param path: its name in the report.
    :param container: the wheel it lies in, or the file itself.
    :param member: its name in the wheel; ``None`` for a file by itself.
    :param size: bytes.
    """

    path: str
    container: str
    member: Optional[str]
    size: int


Outcome = Union[Tuple[Examined, ...], BaselineBuildError]


def run(jobs: Sequence[Job], options: ScanOptions) -> List[Tuple[Examined, ...]]:
    """What every job came to, in the order of *jobs*, whatever ran when. Raises what examining a file may raise."""
    done = 0

    def tell(job: Job) -> None:
        nonlocal done
        if options.progress is not None:
            options.progress(done, len(jobs), job.path)
        done += 1

    count = min(options.jobs or _cores(), len(jobs))
    if count < 2 or sum(job.size for job in jobs) - max(job.size for job in jobs) < WORTH_IT:
        outcomes: List[Tuple[Examined, ...]] = []
        with closing(Examiner()) as examiner:
            for job in jobs:
                tell(job)
                outcomes.append(examiner.perform(job, options))
    else:
        outcomes = _spread(jobs, options, count, tell)
    if options.progress is not None and jobs:
        options.progress(len(jobs), len(jobs), jobs[-1].path)
    return outcomes


class Examiner:
    """Examines one file after the other; a wheel stays open for its next member."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._path = ""
        self._wheel: Optional[WheelFile] = None

    def close(self) -> None:
        """Close the wheel that is open."""
        self._stack.close()

    def perform(self, job: Job, options: ScanOptions) -> Tuple[Examined, ...]:
        """Examine one file. Raises what :func:`open_wheel` and reading files raise."""
        if job.member is None:
            with _mapped(Path(job.container)) as content:
                return examine(content, job.path, options)
        if self._wheel is None or self._path != job.container:
            self._stack.close()
            self._wheel = self._stack.enter_context(open_wheel(job.container))
            self._path = job.container
        with self._wheel.buffer(job.member) as content:
            return examine(content, job.path, options)


@contextmanager
def _mapped(path: Path) -> Iterator[Buffer]:
    """The bytes of a file, mapped where it has any; the mapping goes when its last view does."""
    with path.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size == 0:
            yield b""
        else:
            yield memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _spread(
    jobs: Sequence[Job], options: ScanOptions, count: int, tell: Callable[[Job], None]
) -> List[Tuple[Examined, ...]]:
    """The jobs over *count* processes, the largest first; results stand in the order of *jobs*."""
    waiting: SimpleQueue[Optional[int]] = SimpleQueue()
    for index in sorted(range(len(jobs)), key=lambda number: -jobs[number].size):
        waiting.put(index)
    for _ in range(count):
        waiting.put(None)
    quiet = replace(options, progress=None, waivers=())
    outcomes: List[Optional[Outcome]] = [None] * len(jobs)

    def attend() -> None:
        with closing(_Worker()) as worker:
            while True:
                index = waiting.get()
                if index is None:
                    return
                tell(jobs[index])
                outcomes[index] = worker.ask(jobs[index], quiet)

    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(attend) for _ in range(count)]:
            future.result()
    results: List[Tuple[Examined, ...]] = []
    for outcome in outcomes:
        if isinstance(outcome, BaselineBuildError):
            raise outcome
        assert outcome is not None
        results.append(outcome)
    return results


class _Worker:
    """One process that examines what it is asked to."""

    def __init__(self) -> None:
        package = __name__.rsplit(".", 2)[0]
        root = Path(__file__).resolve().parents[package.count(".") + 2]
        command = [sys.executable, "-c", _BOOTSTRAP.format(package=package), str(root)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self._process.stdin is None or self._process.stdout is None:
            raise InternalError("BB912", "the process that examines files has no pipes")
        self._requests: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout

    def close(self) -> None:
        """Let the process end, and wait for it."""
        self._requests.close()
        self._answers.close()
        self._process.wait()

    def ask(self, job: Job, options: ScanOptions) -> Outcome:
        """What examining *job* came to. Raises InternalError BB912 when the process died."""
        try:
            _send(self._requests, (job, options))
            answer: Outcome = pickle.load(self._answers)  # noqa: S301 - our own process's words
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise InternalError(
                "BB912",
                f"the process that examined it ended with status {self._process.wait()}",
                where=job.path,
                why="It was killed, most likely for want of memory, or it met a defect of ours (see above).",
                fix="Scan with one process (jobs = 1), or with more memory.",
            ) from error
        return answer


def _send(stream: IO[bytes], message: Any) -> None:
    pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def serve() -> None:
    """The worker's side: examine what comes on stdin, answer on stdout, until stdin ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever prints by mistake must not garble the answers.
    os.dup2(2, 1)
    examiner = Examiner()
    while True:
        try:
            job, options = pickle.load(requests)  # noqa: S301 - from the process that started this one
        except EOFError:
            return
        outcome: Outcome
        try:
            outcome = examiner.perform(job, options)
        except BaselineBuildError as error:
            outcome = error
        _send(answers, outcome)
