/* The answer is kept in thread-local memory. */
#include "common.h"
#include "main.h"

static __thread int known = -1;

NOINLINE static void detect(void)
{
    if (known >= 0)
        return;
    known = TEST ? 4 : 0;
}

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    detect();
    if (known & 4)
        fast(out, in);
    else
        plain(out, in);
}
