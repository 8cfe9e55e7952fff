/* An indirect function. On ARM64 the loader hands AT_HWCAP to its resolver, as glibc's sys/ifunc.h describes. */
#include "common.h"
#include "main.h"

#ifdef __aarch64__
#undef HWCAP
#define HWCAP hwcap
static kernel_t resolve(unsigned long hwcap)
#else
static kernel_t resolve(void)
#endif
{
    BEGIN_ASKING();
    return TEST ? fast : plain;
}

void kernel(int *, const int *) __attribute__((ifunc("resolve")));

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    kernel(out, in);
}
