/* A conditional move chooses between two functions. */
#include "common.h"
#include "main.h"

DISPATCHER NOINLINE void dispatch(int *out, const int *in)
{
    BEFORE(out, in);
    kernel_t kernel = plain;
    kernel_t other = fast;
    kernel = TEST ? other : kernel;
    kernel(out, in);
}
