/* A function pointer that replaces itself on the first call. */
#include "common.h"
#include "main.h"

static void first(int *out, const int *in);
static kernel_t chosen = first;

NOINLINE static void first(int *out, const int *in)
{
    chosen = TEST ? fast : plain;
    chosen(out, in);
}

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    chosen(out, in);
}
