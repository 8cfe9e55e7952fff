#include <Python.h>

int sum_avx2(const int *numbers);

static PyObject *sum(PyObject *self, PyObject *ignored) {
  int numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8}, total = 0, place;
  if (__builtin_cpu_supports("avx2")) return PyLong_FromLong(sum_avx2(numbers));
  for (place = 0; place < 8; place++) total += numbers[place];
  return PyLong_FromLong(total);
}

static PyMethodDef methods[] = {{"sum", sum, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_sum", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__sum(void) {
  __builtin_cpu_init();
  return PyModule_Create(&module);
}
