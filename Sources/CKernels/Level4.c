/// The kernels for x86-64-v4: AVX-512. The same bits as x86-64-v3.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"))), apply_to = function)
#define CK_SUFFIX v4
#define CK_HAS_FMA 1
#define CK_TILE_ROWS 8
#define CK_TILE_PANELS 2
#include "kernels/all.h"
#pragma clang attribute pop
#endif
