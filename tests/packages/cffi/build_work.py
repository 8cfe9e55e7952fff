from cffi import FFI

FLAGS = "@FLAGS@"

builder = FFI()
builder.cdef("void work_scale(float *a, const float *b, int n); int work_bits(unsigned long long v);")
builder.set_source("work._work", '#include "loop.c"', include_dirs=["."], extra_compile_args=FLAGS.split())
