/// The kernels for x86-64-v3: AVX2 and FMA.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#define CK_SUFFIX v3
#define CK_HAS_FMA 1
#define CK_TILE_ROWS 6
#define CK_TILE_PANELS 1
#include "kernels/all.h"
#pragma clang attribute pop
#endif
