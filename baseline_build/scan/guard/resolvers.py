"""What the dynamic linker hands to the resolver of an indirect function on ARM64: AT_HWCAP, and AT_HWCAP2 behind it.

The first argument is AT_HWCAP; where its bit 62 is set, the second points to three words: their size in bytes, AT_HWCAP
and AT_HWCAP2 (glibc, sysdeps/aarch64/sys/ifunc.h: ``__ifunc_arg_t``, ``_IFUNC_ARG_HWCAP``). On x86-64 resolvers get
nothing and ask for themselves.
"""

from __future__ import annotations

from .program import Program
from .questions import pattern
from .state import STACK, State
from .values import Value

_HWCAP, _HWCAP2 = 16, 26
# Where the words stand: above all that the resolver's own frames reach.
_WORDS = STACK + 0x1000


def tell(program: Program, state: State) -> None:
    """Puts what a resolver is handed into *state*, that of its entry."""
    told = program.answers["getauxval"]
    words = (pattern(program, told[_HWCAP]), pattern(program, told[_HWCAP2]))
    first, second = program.lifter.abi.arguments[:2]
    state.registers[first] = words[0]
    state.registers[second] = Value({_WORDS: 0})
    for index, word in enumerate(words, 1):
        state.store(_WORDS + 8 * index, 8, word)
