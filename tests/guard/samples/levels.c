/* A switch over levels. */
#include "common.h"
#include "main.h"

enum level { UNKNOWN, NONE, SSE, AVX, WIDE };
static enum level level = UNKNOWN;

NOINLINE static enum level detect(void)
{
    if (level != UNKNOWN)
        return level;
    level = NONE;
    if (__builtin_cpu_supports("sse4.2"))
        level = SSE;
    if (TEST)
        level = AVX;
    if (__builtin_cpu_supports("avx512f"))
        level = WIDE;
    return level;
}

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    switch (detect()) {
    case WIDE:
    case AVX:
        fast(out, in);
        break;
    case SSE:
        plain(out, in);
        break;
    default:
        plain(out, in);
    }
}
