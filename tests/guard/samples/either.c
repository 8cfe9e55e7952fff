/* Either of two features will do. */
#include "common.h"
#include "main.h"

NOINLINE static int first(void) { return HAS(6) != 0; }
NOINLINE static int second(void) { return TEST ? 1 : 0; }

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    if (first() || second())
        fast(out, in);
    else
        plain(out, in);
}
