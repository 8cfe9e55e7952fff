set -e
compiler='@COMPILER@'
$compiler -O3 -fPIC @FLAGS@ -c loop.c -o loop.o
$compiler -shared loop.o -o libwork.so
