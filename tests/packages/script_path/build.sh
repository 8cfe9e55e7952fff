# A script that does not trust the user's PATH.
set -e
PATH=/usr/local/bin:/usr/bin:/bin
export PATH
@COMPILER@ -O3 -fPIC @FLAGS@ -shared loop.c -o libwork.so
