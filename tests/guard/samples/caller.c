/* The test stands in the caller. */
#include "common.h"
#include "main.h"

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    if (TEST)
        fast(out, in);
    else
        plain(out, in);
}
