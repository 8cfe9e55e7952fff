/* The same in C++. */
extern "C" void work_scale(float *__restrict a, const float *__restrict b, int n) {
  for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + 1.0f;
}
extern "C" int work_bits(unsigned long long v) { return __builtin_popcountll(v); }
