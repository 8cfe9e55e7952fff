/* An indirect function whose resolver looks into what its second argument points to when bit 62 of the first is set: a
 * size, AT_HWCAP and AT_HWCAP2 (glibc's sys/ifunc.h). */
#define NEEDS_I8MM
#ifndef TEST
#define TEST ((HWCAP & 1ul << 62) && more[0] > 16 && (more[2] & 1ul << 13)) /* HWCAP2_I8MM */
#endif
#include "common.h"
#include "main.h"

#undef HWCAP
#define HWCAP hwcap

static kernel_t resolve(unsigned long hwcap, const unsigned long *more)
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
