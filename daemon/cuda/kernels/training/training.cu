// What training launches; `kernels.h` lists it.
#include "product.cuh"
