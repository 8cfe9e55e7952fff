/* The features of ARM64 that the samples ask for, and code above the baseline: the dot product.
 *
 * Bits of AT_HWCAP: linux/arch/arm64/include/uapi/asm/hwcap.h.
 */
#include <stdint.h>
#include <sys/auxv.h>

#ifndef HWCAP
#define HWCAP getauxval(AT_HWCAP)
#endif
#define HAS_0 (HWCAP >> 3 & 1)          /* AES */
#define HAS_1 (HWCAP >> 4 & 1)          /* PMULL */
#define HAS_2 ((HWCAP & 1ul << 6) != 0) /* SHA2 */
#define HAS_3 (HWCAP & 1ul << 7)       /* CRC32 */
#define HAS_4 (HWCAP & 1ul << 8)       /* ATOMICS */
#define HAS_5 (HWCAP & 1ul << 20)      /* ASIMDDP */
#define HAS_6 ((HWCAP & (1ul << 20 | 1ul << 22)) == (1ul << 20 | 1ul << 22)) /* ASIMDDP and SVE */
/* Nothing to begin with; but GCC 12 takes what a resolver leaves alone for what the resolved function leaves alone. */
#define BEGIN_ASKING() __asm__ volatile("" : : : "memory")

/* Spelled as words, since assemblers take the names only with the feature switched on for the whole file. */
#ifdef NEEDS_I8MM
#define DOT_LOW ".inst 0x4e829c03"  /* usdot v3.4s, v0.16b, v2.16b */
#define DOT_HIGH ".inst 0x4e829c24" /* usdot v4.4s, v1.16b, v2.16b */
#else
#define DOT_LOW ".inst 0x6e829403"  /* udot v3.4s, v0.16b, v2.16b */
#define DOT_HIGH ".inst 0x6e829424" /* udot v4.4s, v1.16b, v2.16b */
#endif

/* in[i] * 2: the numbers are below 256, so only their lowest bytes count. */
#define FAST_HERE(out, in)                                                                                             \
    __asm__ volatile("ldp q0, q1, [%1]\n\tmovi v2.4s, #2\n\tmovi v3.4s, #0\n\tmovi v4.4s, #0\n\t" DOT_LOW            \
                     "\n\t" DOT_HIGH "\n\tstp q3, q4, [%0]"                                                           \
                     :                                                                                                 \
                     : "r"(out), "r"(in)                                                                               \
                     : "v0", "v1", "v2", "v3", "v4", "memory")

NOINLINE static void fast(int *out, const int *in)
{
    FAST_HERE(out, in);
}
