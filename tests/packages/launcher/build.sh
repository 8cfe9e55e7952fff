set -e
@COMPILER@ -O3 -fPIC @FLAGS@ -c loop.c -o loop.o
@COMPILER@ -O3 -fPIC @FLAGS@ -c loop.c -o loop.o
gcc -shared loop.o -o libwork.so
