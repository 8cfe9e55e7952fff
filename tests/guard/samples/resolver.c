/* An indirect function. */
#include "common.h"
#include "main.h"

static kernel_t resolve(void)
{
    __builtin_cpu_init();
    return TEST ? fast : plain;
}

void kernel(int *, const int *) __attribute__((ifunc("resolve")));

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    kernel(out, in);
}
