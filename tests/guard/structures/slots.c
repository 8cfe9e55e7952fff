/* The cache, the function that fills it and the versions are named through words that the loader fills: code for shared
   objects that nobody relaxed, as compilers write it that call through the global offset table. */
#include <cpuid.h>
#include <stdio.h>

#define READY 1u
#define SSE42 2u
#define AVX2 4u
#ifndef TEST
#define TEST (found & AVX2)
#endif

/* Far from all that anybody names. */
char before[4096] __attribute__((section(".flags"))) = {1};
unsigned cache __attribute__((section(".flags")));

__attribute__((noinline)) unsigned ask(void)
{
    unsigned a, b, c, d, found = READY;
    __cpuid(1, a, b, c, d);
    if (c >> 20 & 1)
        found |= SSE42;
    if (c >> 27 & c >> 28 & 1) {
        unsigned low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        __cpuid_count(7, 0, a, b, c, d);
        if ((low & 6) == 6 && b >> 5 & 1)
            found |= AVX2;
    }
    cache = found;
    return found;
}

__attribute__((noinline, target("avx2"))) void fast(int *out, const int *in)
{
    typedef int vector __attribute__((vector_size(32), aligned(4), may_alias));
    *(vector *)out = *(const vector *)in + *(const vector *)in;
}

__attribute__((noinline)) void plain(int *out, const int *in)
{
    for (int i = 0; i < 8; i++)
        out[i] = in[i] * 2;
}

#ifdef FORCED
__attribute__((noinline)) void force(unsigned all)
{
    cache = all;
}
#endif

__attribute__((noinline)) void twice(int *out, const int *in)
{
    unsigned found = cache;
    if (!found)
        found = ask();
    if (TEST)
        fast(out, in);
    else
        plain(out, in);
}

int main(int argc, char **argv)
{
    static int in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
#ifdef FORCED
    force(argc ? ~0u : 0);
#endif
    twice(out, in);
    printf("%d %d\n", out[0], out[7]);
    return out[7] != 16;
}
