/* The assembler's own directive, which its command line cannot undo. */
__asm__(".arch generic64\n.arch .avx2\n");
int work_bits(int v) {
  __asm__ volatile("vpxor %%ymm0, %%ymm0, %%ymm0" ::: "xmm0");
  return v;
}
