subroutine work_scale(a, b, n) bind(c)
  use iso_c_binding
  integer(c_int), value :: n
  real(c_float) :: a(n), b(n)
  a = a * b + 1.0
end subroutine
