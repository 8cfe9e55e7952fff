/* Atomics that the compiler leaves to helpers of its library, which test for LSE (-moutline-atomics). */
#include "common.h"
#include "main.h"

static int counter;

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
    if (TEST)
        fast(out, in);
    else
        plain(out, in);
}
