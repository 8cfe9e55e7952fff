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
    if (HAS(3))
        level = SSE;
    if (TEST)
        level = AVX;
    if (HAS(6))
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
