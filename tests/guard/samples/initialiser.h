/* A constructor that is compiled above the baseline. */
#ifdef __aarch64__
__attribute__((constructor)) static void above_the_baseline(void)
{
    __asm__ volatile(".inst 0x6e829420" : : : "v0"); /* udot v0.4s, v1.16b, v2.16b */
}
#else
__attribute__((constructor, target("avx2"))) static void above_the_baseline(void)
{
    __asm__ volatile("vpaddd %%ymm0, %%ymm0, %%ymm0" : : : "xmm0");
}
#endif
