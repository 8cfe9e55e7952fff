/* CPUID and XGETBV by hand; the leaf, the bits and the order are those of the manual. */
#ifndef RAW
#define RAW (1u << 5)
#endif
#ifndef TEST
#define TEST (features() & 1)
#endif
#include "common.h"
#include "main.h"

NOINLINE static unsigned features(void)
{
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27)) || !(c & (1u << 28)))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6) != 6)
        return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    return (b & RAW) ? 1 : 0;
}

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    if (TEST)
        fast(out, in);
    else
        plain(out, in);
}
