/* Objective-C without a run-time library: the compiler is what matters. */
@interface Work
@end
void work_scale(float *__restrict a, const float *__restrict b, int n) {
  int i;
  for (i = 0; i < n; i++) a[i] = a[i] * b[i] + 1.0f;
}
