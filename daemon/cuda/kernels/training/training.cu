// What training launches; `kernels.h` lists it.
#include "change.cuh"
#include "depthwise.cuh"
#include "elementwise.cuh"
#include "gram.cuh"
#include "norms.cuh"
#include "pixels.cuh"
#include "product.cuh"
#include "rearrange.cuh"
