#pragma GCC target("avx2")
