#!/bin/sh
# Written by baseline-build for one build and removed with it: a compiler launcher (ccache, distcc, …). The compiler's
# own shim filters the options and then starts launcher and compiler, so that a remote machine sees them filtered too.
program=
case $1 in
--*) ;;
-*) @IMPLICIT@ ;;
@KNOWN@
*/*) ;;
?*) program=$1 ;;
esac
if [ "$program" ] && [ -x @SHIMS@/"$program" ]; then
case $1 in -*) ;; *) shift ;; esac
_BASELINE_BUILD_LAUNCHER=@LAUNCHER@
export _BASELINE_BUILD_LAUNCHER
exec @SHIMS@/"$program" "$@"
fi
@ENVIRONMENT@
exec @LAUNCHER@ "$@"
