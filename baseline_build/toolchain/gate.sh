#!/bin/sh
# Written by baseline-build for one build and removed with it: stands before the assembler under strict, so that what
# the assembler refuses is told with the source's file and line. See baseline_build/toolchain/gate.py.
state=@STATE@
@REAL@
[ "$real" ] || { echo "baseline-build: no assembler is known for ${COLLECT_GCC:-this compiler}" >&2; exit 70; }
@RUN@
