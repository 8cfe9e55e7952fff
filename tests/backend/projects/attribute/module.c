#include <Python.h>

int attribute_numbers[1024];

__attribute__((target("avx2"), noinline)) static int total_wide(int start)
{
    int sum = 0;
    for (int i = 0; i < 1024; i++)
        sum += attribute_numbers[i] * start;
    return sum;
}

static PyObject *total(PyObject *self, PyObject *arguments)
{
    int start = 0;
    (void)self;
    if (!PyArg_ParseTuple(arguments, "i", &start))
        return NULL;
    return PyLong_FromLong(total_wide(start));
}

static PyMethodDef methods[] = {{"total", total, METH_VARARGS, "A sum."}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "attribute_module", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_attribute_module(void)
{
    return PyModule_Create(&module);
}
