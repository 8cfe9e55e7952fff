/* A constant table of pairs of functions, read at twice a number nobody knows, plus a flag; and ways to get it wrong.
 *
 * HOW names how the entry is chosen; test_pairs.py numbers the names for the preprocessor.
 */
#include "common.h"

#if HOW == SWAPPED || HOW == DOUBLED
#define FIRST fast
#else
#define FIRST plain
#endif
#if HOW == DOUBLED
#define OTHER plain
#else
#define OTHER fast
#endif

struct pair {
    kernel_t by[2];
};

#if HOW == WRITTEN
static kernel_t kernels[]
#elif HOW == WIDE
static const kernel_t kernels[] = {plain, plain, fast, fast, plain, plain, fast, fast, plain, plain, fast, fast};
static const kernel_t spare[]
#else
static const kernel_t kernels[]
#endif
    = {FIRST, OTHER, HOW == BOTH ? fast : plain, fast, plain, fast, plain, fast, plain, plain, plain, plain, plain};
static const struct pair pairs[] = {{{plain, fast}}, {{plain, fast}}, {{plain, fast}}};
static volatile int size;

NOINLINE static int flag(void) { return HOW == LOWER ? HAS(3) != 0 : HOW == INVERTED ? !TEST : TEST != 0; }

NOINLINE void dispatch(int *out, const int *in)
{
    int has = flag(), n = size;
#if HOW == WRITTEN
    kernels[2 * n] = kernels[2 * n + 1];
#endif
#if HOW == BIASED
    kernels[2 * (n + 2) - 4 + has](out, in);
#elif HOW == PACKED
    pairs[n].by[has](out, in);
#elif HOW == WIDE
    kernels[4 * n + 2 * has](out, in);
#elif HOW == ORED
    kernels[2 * n | has](out, in);
#elif HOW == LESS
    kernels[2 * n + 2 - has](out, in);
#elif HOW == SHIFTED
    kernels[2 * n + has + 1](out, in);
#elif HOW == ODD
    kernels[2 * (n + 2) - 3 + has](out, in);
#elif HOW == SINGLE
    kernels[n + has](out, in);
#elif HOW == TRIPLE
    kernels[3 * n + has](out, in);
#elif HOW == MERGED
    kernels[n | has](out, in);
#elif HOW == DOUBLED
    kernels[4 * n + 2 * has](out, in);
#elif HOW == TWICE
    kernels[2 * n + has + (HAS(3) != 0)](out, in);
#elif HOW == RAISED
    kernels[(2 * n + has) | 1](out, in);
#else
    kernels[2 * n + has](out, in);
#endif
#if HOW == SECOND
    kernels[2 * n + 1](out, in);
#endif
}

int main(int argc, char **argv)
{
    int in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
    (void)argc, (void)argv;
    for (size = 0; size < 3; size++) {
        dispatch(out, in);
        if (out[7] != 16)
            return 1;
    }
    return 0;
}
