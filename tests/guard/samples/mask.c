/* Bits of several features in one global mask. */
#include "common.h"
#include "main.h"

static unsigned mask;

NOINLINE static void detect(void)
{
    unsigned found = 1u << 31;
    if (__builtin_cpu_supports("sse3"))
        found |= 1;
    if (__builtin_cpu_supports("ssse3"))
        found |= 2;
    if (__builtin_cpu_supports("sse4.1"))
        found |= 4;
    if (__builtin_cpu_supports("sse4.2"))
        found |= 8;
    if (__builtin_cpu_supports("avx"))
        found |= 16;
    if (TEST)
        found |= 32;
    if (__builtin_cpu_supports("avx512f"))
        found |= 64;
    mask = found;
}

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    if (!mask)
        detect();
    if (mask & 32)
        fast(out, in);
    else
        plain(out, in);
}
