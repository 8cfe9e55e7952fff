/* What all dispatch samples share. A broken twin is made by defining TEST, BEFORE or DISPATCHER differently. */
#include <cpuid.h>
#include <immintrin.h>
#include <stdio.h>

#ifndef TEST
#define TEST __builtin_cpu_supports("avx2")
#endif
#ifndef BEFORE
#define BEFORE(out, in)
#endif
#ifndef DISPATCHER
#define DISPATCHER
#endif
#define NOINLINE __attribute__((noinline))

typedef void (*kernel_t)(int *, const int *);

NOINLINE static void plain(int *out, const int *in)
{
    for (int i = 0; i < 8; i++)
        out[i] = in[i] * 2;
}

__attribute__((target("avx2"))) NOINLINE static void fast(int *out, const int *in)
{
    __m256i v = _mm256_loadu_si256((const __m256i *)in);
    _mm256_storeu_si256((__m256i *)out, _mm256_add_epi32(v, v));
}

/* The same without a call, for functions that are not compiled for AVX2. */
#define FAST_HERE(out, in)                                                                                             \
    __asm__ volatile("vmovdqu (%1), %%ymm0\n\tvpaddd %%ymm0, %%ymm0, %%ymm0\n\tvmovdqu %%ymm0, (%0)"                  \
                     :                                                                                                 \
                     : "r"(out), "r"(in)                                                                               \
                     : "xmm0", "memory")

/* Keeps a question to the CPU in every twin, so that "nothing ever asks" is not what decides. */
NOINLINE int asks(void) { return __builtin_cpu_supports("avx2") != 0; }

static int input[8] = {1, 2, 3, 4, 5, 6, 7, 8};
static int output[8];
