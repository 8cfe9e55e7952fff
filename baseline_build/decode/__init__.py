"""Bytes of code -> lengths, features, control flow, references.

The interface of the room (every engine gives the same answers):

* ``sweep(machine, code, address, entries=()) -> Sweep``: one linear pass. *entries* are sorted addresses at which an
  instruction is known to start (functions, branch targets of unwind tables): the pass resynchronises there.
* ``instruction(machine, code, address, offset=0) -> Instruction``: the one at ``code[offset:]``; never raises on
  garbage (``valid`` is false instead).
* ``requirement(machine, number) -> frozenset of feature names``: what a number in ``Sweep.mark_requirements`` means.
* ``engine_name() -> "c" | "python"``; ``BASELINE_BUILD_ENGINE=python`` forces the portable one.
"""
