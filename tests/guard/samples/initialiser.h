/* A constructor that is compiled above the baseline. */
__attribute__((constructor, target("avx2"))) static void above_the_baseline(void)
{
    __asm__ volatile("vpaddd %%ymm0, %%ymm0, %%ymm0" : : : "xmm0");
}
