/* The answer is kept in a large structure on the heap and read back through a pointer, also as a parameter. */
#include <stdlib.h>
#include "common.h"
#include "main.h"

struct context {
    char window[4096];
    int level;
    int wide;
    long count;
};

NOINLINE static struct context *create(int level)
{
    struct context *context = calloc(1, sizeof *context);
    if (!context)
        abort();
    context->level = level;
    context->wide = TEST ? 1 : 0;
    return context;
}

NOINLINE static void run(int *out, const int *in, int wide)
{
    if (wide)
        fast(out, in);
    else
        plain(out, in);
}

NOINLINE static void work(struct context *context, int *out, const int *in)
{
    context->count++;
    context->window[context->level & 63] = 1;
    run(out, in, context->wide);
}

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    struct context *context = create(output[3]);
    BEFORE(out, in);
    work(context, out, in);
    free(context);
}
