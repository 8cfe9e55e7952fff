"""What is put last on a command line, so that the promised level is what counts."""

from __future__ import annotations

from typing import Optional, Tuple

from .tables import Target, target_of


def _gate(target: Target, dialect: str, strict: bool, modern: bool) -> Tuple[str, ...]:
    if not strict or target.gate is None:
        return ()
    if dialect == "as":
        return (f"-march={target.gate}",)
    if dialect == "gcc":
        return (f"-Wa,-march={target.gate}",)
    if dialect == "clang":
        # clang's own assembler has no such gate; a link without compilation leaves the option unused
        gated = ("-fno-integrated-as", f"-Wa,-march={target.gate}")
        return quiet(gated, modern)
    return ()


def quiet(options: Tuple[str, ...], modern: bool) -> Tuple[str, ...]:
    """*options* for clang, which shall not complain (under -Werror: fail) when a call has no use for them."""
    if modern:
        return ("--start-no-unused-arguments", *options, "--end-no-unused-arguments")
    return (*options, "-Qunused-arguments")


def _rust(target: Target, strict: bool) -> Tuple[str, ...]:
    cpu, plus, features = target.rust.partition("+")
    options: Tuple[str, ...] = ("-C", f"target-cpu={cpu}")
    if plus:
        options += ("-C", f"target-feature=+{features}")
    if strict and target.machine == "aarch64":
        options += ("-C", "target-feature=-outline-atomics")
    return options


def additions(
    dialect: str, machine: str, level: Optional[str], *, strict: bool, atomics: bool = True, modern: bool = True
) -> Tuple[str, ...]:
    """Options put last for *machine* at *level*; none for machines without levels.

    :param dialect: ``gcc``, ``clang``, ``zig``, ``cc1``, ``as``, ``ld`` or ``rustc``.
    :param strict: with the assembler gate, and on ARM64 without outline atomics (see
        :class:`~baseline_build.toolchain.model.Enforcement`).
    :param atomics: the compiler knows ``-moutline-atomics`` (gcc >= 9.4, clang >= 12).
    :param modern: clang is 14 or newer.
    """
    if level is None or dialect == "ld":
        return ()
    target = target_of(machine, level)
    if dialect == "rustc":
        return _rust(target, strict)
    if dialect == "zig":
        return (f"-mcpu={target.zig}",)
    if dialect == "as":
        return _gate(target, dialect, strict, modern)
    # clang tunes for the generic CPU by itself and complains about -mtune on assembler files
    options = tuple(option for option in target.options if dialect != "clang" or not option.startswith("-mtune"))
    if machine == "aarch64" and atomics:
        options += ("-mno-outline-atomics" if strict else "-moutline-atomics",)
    return options + _gate(target, dialect, strict, modern)
