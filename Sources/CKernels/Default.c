/// The kernels for whatever processor the compiler assumes.
#define CK_SUFFIX base
#define CK_HAS_FMA 0
#define CK_TILE_ROWS 2
#define CK_TILE_PANELS 1
#include "kernels/all.h"
