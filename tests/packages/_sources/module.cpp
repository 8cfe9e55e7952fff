/* The loops as a Python module, in C++. */
#include <Python.h>
#include "loop.cpp"
static PyObject *bits(PyObject *self, PyObject *value) {
  (void)self;
  return PyLong_FromLong(work_bits(PyLong_AsUnsignedLongLongMask(value)));
}
static PyObject *scale(PyObject *self, PyObject *args) {
  float a[64], b[64];
  double x;
  (void)self;
  if (!PyArg_ParseTuple(args, "d", &x)) return NULL;
  for (int i = 0; i < 64; i++) a[i] = b[i] = (float)x;
  work_scale(a, b, 64);
  return PyFloat_FromDouble(a[63]);
}
static PyMethodDef methods[] = {{"bits", bits, METH_O, NULL}, {"scale", scale, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_work", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__work(void) { return PyModule_Create(&definition); }
