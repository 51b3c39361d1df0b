cdef int factorise(double *c, int n, int ld) noexcept nogil
cdef int invert(double *l, int n, int ld) noexcept nogil
cdef void solve_one(const double *l, int n, int ld, double *b, bint transposed) noexcept nogil
