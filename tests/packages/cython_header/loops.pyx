# distutils: extra_compile_args = @FLAGS@
# cython: language_level=3, boundscheck=False, wraparound=False
def scale(float[::1] a, float[::1] b):
    cdef Py_ssize_t i
    for i in range(a.shape[0]):
        a[i] = a[i] * b[i] + 1
