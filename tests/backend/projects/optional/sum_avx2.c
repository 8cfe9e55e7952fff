#include <immintrin.h>

int sum_avx2(const int *numbers) {
  __m256i eight = _mm256_loadu_si256((const __m256i *)numbers);
  int parts[8];
  eight = _mm256_add_epi32(eight, _mm256_permute2x128_si256(eight, eight, 1));
  _mm256_storeu_si256((__m256i *)parts, eight);
  return parts[0] + parts[1] + parts[2] + parts[3];
}
