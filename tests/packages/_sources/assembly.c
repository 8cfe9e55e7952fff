int work_bits(unsigned long long v) {
  __asm__("popcntq %0, %0" : "+r"(v));
  return (int)v;
}
