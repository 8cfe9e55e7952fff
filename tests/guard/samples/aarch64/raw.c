/* The ID register by hand, where AT_HWCAP says that the kernel lets programs read it (CPUID, bit 11). The field is that of
 * the manual: ID_AA64ISAR0_EL1, DP, bits 47 to 44. */
#ifndef RAW
#define RAW 44
#endif
#ifndef TEST
#define TEST (features() & 1)
#endif
#include "common.h"
#include "main.h"

NOINLINE static unsigned features(void)
{
    unsigned long field;
    if (!(HWCAP & 1ul << 11))
        return 0;
    __asm__ volatile("mrs %0, id_aa64isar0_el1" : "=r"(field));
    return (field >> RAW & 15) != 0;
}

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    if (TEST)
        fast(out, in);
    else
        plain(out, in);
}
