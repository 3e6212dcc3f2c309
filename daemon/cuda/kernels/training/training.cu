// What training launches; `kernels.h` lists it.
#include "depthwise.cuh"
#include "elementwise.cuh"
#include "gram.cuh"
#include "norms.cuh"
#include "product.cuh"
#include "rearrange.cuh"
