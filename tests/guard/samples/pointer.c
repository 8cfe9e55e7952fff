/* A constructor stores a function pointer. */
#include "common.h"
#include "main.h"

static kernel_t chosen = plain;

__attribute__((constructor)) static void choose(void)
{
    BEGIN_ASKING();
    if (TEST)
        chosen = fast;
}

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    chosen(out, in);
}
