/* Bits of several features in one global mask. */
#include "common.h"
#include "main.h"

static unsigned mask;

NOINLINE static void detect(void)
{
    unsigned found = 1u << 31;
    if (HAS(0))
        found |= 1;
    if (HAS(1))
        found |= 2;
    if (HAS(2))
        found |= 4;
    if (HAS(3))
        found |= 8;
    if (HAS(4))
        found |= 16;
    if (TEST)
        found |= 32;
    if (HAS(6))
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
