/* A table of functions indexed by a level. */
#include "common.h"
#include "main.h"

static const kernel_t kernels[] = {plain, plain, fast};
static int level;

NOINLINE static void detect(void)
{
    level = 0;
    if (HAS(3))
        level = 1;
    if (TEST)
        level = 2;
}

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    detect();
    kernels[level](out, in);
}
