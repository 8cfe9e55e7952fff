/* A predicate that is asked by number. */
#include "common.h"
#include "main.h"

enum { SSE4, AVX, AVX2 };

NOINLINE static int has(int feature)
{
    switch (feature) {
    case SSE4:
        return HAS(3) != 0;
    case AVX:
        return HAS(4) != 0;
    case AVX2:
        return TEST ? 1 : 0;
    }
    return 0;
}

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    if (has(AVX2))
        fast(out, in);
    else
        plain(out, in);
}
