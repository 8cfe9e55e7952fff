# A clean library, and beside it what the case brings.
set -e
gcc -O3 -fPIC -shared loop.c -o work/libwork.so
env -i PATH=/usr/bin:/bin gcc -O3 -fPIC -mavx2 -c loop.c -o foreign.o
@FLAGS@
