/* The test and the code it guards stand in one function. */
#include "common.h"
#include "main.h"

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    if (TEST) {
        FAST_HERE(out, in);
        /* Without this nothing would use fast(), and unused code is never proven guarded. */
        if (in[0] < 0)
            fast(out, in);
    } else
        plain(out, in);
}
