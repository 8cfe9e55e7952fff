/* A global keeps the answer. */
#include "common.h"
#include "main.h"

static int cached = -1;

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    if (cached < 0)
        cached = TEST ? 1 : 0;
    if (cached)
        fast(out, in);
    else
        plain(out, in);
}
