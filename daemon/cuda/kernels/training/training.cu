// What training launches; `kernels.h` lists it.
#include "change.cuh"
#include "elementwise.cuh"
#include "pixels.cuh"
#include "product.cuh"
#include "rearrange.cuh"
