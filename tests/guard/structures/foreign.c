/* Asks the object of the compilers' run-time library that libgcc_s shares, as libraries from older builds do. */
#include <stdio.h>

extern struct { unsigned vendor, type, subtype, features; } __cpu_model;
int __cpu_indicator_init(void);
__asm__(".symver __cpu_model, __cpu_model@GCC_4.8.0");
__asm__(".symver __cpu_indicator_init, __cpu_indicator_init@GCC_4.8.0");

#ifndef WORD
#define WORD features
#endif
#ifndef BIT
#define BIT 10 /* avx2 */
#endif
#ifndef TEST
#define TEST (__cpu_model.WORD >> BIT & 1)
#endif

__attribute__((noinline, target("avx2"))) static void fast(int *out, const int *in)
{
    typedef int vector __attribute__((vector_size(32), aligned(4), may_alias));
    *(vector *)out = *(const vector *)in + *(const vector *)in;
}

__attribute__((noinline)) static void plain(int *out, const int *in)
{
    for (int i = 0; i < 8; i++)
        out[i] = in[i] * 2;
}

static void (*chosen)(int *, const int *);

void twice(int *out, const int *in)
{
#ifdef WRITTEN
    __cpu_model.features = WRITTEN;
#endif
    if (!chosen)
        chosen = TEST ? fast : plain;
    chosen(out, in);
}

int main(int argc, char **argv)
{
    static int in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
    __cpu_indicator_init();
    twice(out, in);
    printf("%d %d\n", out[0], out[7]);
    return out[7] != 16;
}
