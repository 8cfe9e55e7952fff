/* The test stands in a function of its own. */
#include "common.h"
#include "main.h"

NOINLINE static int usable(void) { return TEST ? 1 : 0; }

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    if (usable())
        fast(out, in);
    else
        plain(out, in);
}
