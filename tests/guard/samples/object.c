/* The table's own address is taken only behind the test. */
#include "common.h"
#include "main.h"

struct methods {
    const char *name;
    kernel_t run;
};
static const struct methods generic = {"generic", plain};
static const struct methods wide = {"wide", fast};
static const struct methods *current;

NOINLINE static void choose(void)
{
    current = &generic;
    if (TEST)
        current = &wide;
}

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    choose();
    current->run(out, in);
}
