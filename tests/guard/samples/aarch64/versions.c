/* One word of bits about the CPU, worked out from AT_HWCAP and AT_HWCAP2 by whoever comes first: a resolver, or a
 * constructor that asks for them itself and hands over its own copy. So do compilers for functions of many versions. */
#define NEEDS_I8MM
#ifndef TEST
#define TEST (hwcap2 & 1ul << 13) /* HWCAP2_I8MM */
#endif
#include "common.h"
#include "main.h"

#undef HWCAP
#define HWCAP hwcap

static unsigned long features;

NOINLINE static void collect(unsigned long hwcap, const unsigned long *words)
{
    unsigned long found = 0, hwcap2 = 0;
    BEGIN_ASKING();
    if (hwcap & 1ul << 62)
        hwcap2 = words[2];
    found |= (unsigned)(hwcap & 1) * 0x300ul; /* FP */
    if (hwcap & 1ul << 7)
        found |= 1ul << 10; /* CRC32 */
    if (hwcap & 1ul << 20)
        found |= 1ul << 4; /* ASIMDDP */
    if (hwcap2 & 1ul << 7)
        found |= 1ul << 20; /* FLAGM2 */
    if (TEST)
        found |= 1ul << 36;
    if (hwcap2 & 1ul << 14)
        found |= 1ul << 37; /* BF16 */
    features = found | 1ul << 63;
}

NOINLINE static void collect_once(unsigned long hwcap, const unsigned long *words)
{
    if (!features)
        collect(hwcap, words);
}

__attribute__((constructor)) static void begin(void)
{
    if (features)
        return;
    unsigned long words[3] = {sizeof words, getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
    collect(words[1] | 1ul << 62, words);
}

static kernel_t resolve(unsigned long hwcap, const unsigned long *words)
{
    collect_once(hwcap, words);
    return features >> 36 & 1 ? fast : plain;
}

void kernel(int *, const int *) __attribute__((ifunc("resolve")));

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    kernel(out, in);
}
