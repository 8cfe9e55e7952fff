/* What all dispatch samples share. A broken twin is made by defining TEST, BEFORE or DISPATCHER differently.
 *
 * HAS(0) to HAS(6) ask for features of the machine, in the order in which CPUs got them; fast() needs that of TEST, which
 * is HAS(5).
 */
#include <stdio.h>

#define NOINLINE __attribute__((noinline))
typedef void (*kernel_t)(int *, const int *);

#ifdef __aarch64__
#include "aarch64.h"
#else
#include "x86.h"
#endif

#define HAS(number) HAS_##number
#ifndef TEST
#define TEST HAS(5)
#endif
#ifndef BEFORE
#define BEFORE(out, in)
#endif
#ifndef DISPATCHER
#define DISPATCHER
#endif

NOINLINE static void plain(int *out, const int *in)
{
    for (int i = 0; i < 8; i++)
        out[i] = in[i] * 2;
}
