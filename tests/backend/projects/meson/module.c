#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *total(PyObject *self, PyObject *arguments)
{
    float values[8], sum = 0;
    double start;
    (void)self;
    if (!PyArg_ParseTuple(arguments, "d", &start))
        return NULL;
    for (int i = 0; i < 8; i++)
        values[i] = (float)start * (float)i + 1.0f;
    for (int i = 0; i < 8; i++)
        sum += values[i] * values[i];
    return PyFloat_FromDouble(sum);
}

static PyMethodDef methods[] = {{"total", total, METH_VARARGS, "A sum of squares."}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "meson_module", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_meson_module(void)
{
    return PyModule_Create(&module);
}
