#include <Python.h>
#include <stdlib.h>

/* What the CPU can do travels through the heap and a capsule: right, and nothing that a scan can follow. */
struct context { int (*sum)(int); };

__attribute__((noinline, target("avx2"))) static int sum_avx2(int value)
{
    __asm__ volatile("vpaddd %%ymm0, %%ymm0, %%ymm1" ::: "xmm1");
    return value + value;
}

__attribute__((noinline)) static int sum_plain(int value) { return value + value; }

static void drop(PyObject *capsule) { free(PyCapsule_GetPointer(capsule, "context")); }

static PyObject *make(PyObject *self, PyObject *nothing)
{
    struct context *made = malloc(sizeof *made);
    (void)self;
    (void)nothing;
    if (!made)
        return PyErr_NoMemory();
    made->sum = sum_plain;
    struct { int (*choice[2])(int); } table = {{sum_plain, sum_avx2}};
    made->sum = table.choice[__builtin_cpu_supports("avx2") != 0];
    return PyCapsule_New(made, "context", drop);
}

static PyObject *use(PyObject *self, PyObject *capsule)
{
    struct context *made = PyCapsule_GetPointer(capsule, "context");
    (void)self;
    return made ? PyLong_FromLong(made->sum(21)) : NULL;
}

/* Reached by nobody who asked the CPU, as far as a scan can tell. */
static PyObject *force(PyObject *self, PyObject *flag)
{
    (void)self;
    return PyLong_FromLong(PyObject_IsTrue(flag) == 1 ? sum_avx2(21) : sum_plain(21));
}

static PyMethodDef methods[] = {
    {"make", make, METH_NOARGS, NULL}, {"use", use, METH_O, NULL}, {"force", force, METH_O, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "waived_module", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_waived_module(void) { return PyModule_Create(&module); }
