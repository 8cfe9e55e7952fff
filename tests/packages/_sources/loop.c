/* Code that turns foreign wherever the compiler is allowed to: a loop to vectorise, and a population count. */
void work_scale(float *restrict a, const float *restrict b, int n) {
  for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + 1.0f;
}
int work_bits(unsigned long long v) { return __builtin_popcountll(v); }
