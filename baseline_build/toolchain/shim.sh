#!/bin/sh
# Written by baseline-build for one build and removed with it: takes options that choose instructions off the command
# line, adds the promised level and goes on as the real program. How and why: baseline_build/toolchain/shims.py.
name=@NAME@ state=@STATE@ machine=@MACHINE@
@REAL@
launcher=$_BASELINE_BUILD_LAUNCHER
unset _BASELINE_BUILD_LAUNCHER _BASELINE_BUILD_REAL
slow() { exec @PYTHON@ @SLOW@ "$state" "$name" "$machine" "$real" "$launcher" "$@"; }
@CHECK@
drop= pair= link=1
for a do
case $a in
@SCAN@
esac
done
if [ "$drop" ]; then
[ "${pair}@REFUSE@" ] || [ $# -gt 500 ] && slow "$@"
fi
{ read -r caller </proc/$PPID/comm; } 2>/dev/null || caller=
printf '%s\0' bb1 "$name" "$machine" "$PWD" "$caller" $# "$@" >>"$state/log/$$" || exit 70
removed= previous=
if [ "$drop" ]; then
count=$#
while [ $count -gt 0 ]; do
a=$1 count=$((count - 1))
shift
case $previous in
@VALUES@) previous= ;;
*)
case $a in
@KEPT@
@DROP@)
removed="$removed$a
" previous=
continue
;;
esac
previous=$a
;;
esac
set -- "$@" "$a"
done
fi
map=
@LINK@
printf '%s\0' "$removed" @ADDED_TEXT@ '' '' "$map" >>"$state/log/$$" || exit 70
@ENVIRONMENT@
set -- "$@" @ADDED@
@RUN@
