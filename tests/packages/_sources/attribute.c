/* No option can take this away: the function names its own instruction set. */
__attribute__((target("avx2"))) void work_scale(float *restrict a, const float *restrict b, int n) {
  for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + 1.0f;
}
