# Whatever the case says, as a script would do it.
set -e
@FLAGS@
