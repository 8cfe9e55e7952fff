#include <pybind11/pybind11.h>
#include "loop.cpp"
PYBIND11_MODULE(_work, module) {
  module.def("bits", &work_bits);
  module.def("scale", [](double x) {
    float a[64], b[64];
    for (int i = 0; i < 64; i++) a[i] = b[i] = static_cast<float>(x);
    work_scale(a, b, 64);
    return a[63];
  });
}
