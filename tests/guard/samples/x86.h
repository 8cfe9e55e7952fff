/* The features of x86-64 that the samples ask for, and code above the baseline: AVX2. */
#include <cpuid.h>
#include <immintrin.h>

#define HAS_0 __builtin_cpu_supports("sse3")
#define HAS_1 __builtin_cpu_supports("ssse3")
#define HAS_2 __builtin_cpu_supports("sse4.1")
#define HAS_3 __builtin_cpu_supports("sse4.2")
#define HAS_4 __builtin_cpu_supports("avx")
#define HAS_5 __builtin_cpu_supports("avx2")
#define HAS_6 __builtin_cpu_supports("avx512f")
#define BEGIN_ASKING() __builtin_cpu_init()

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
