/* Objective-C without a run-time library: the compiler is what matters. */
@interface Work
@end
void work_scale(float *restrict a, const float *restrict b, int n) {
  for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + 1.0f;
}
