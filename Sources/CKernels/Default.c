/// The kernels for whatever processor the compiler assumes.
#define CK_SUFFIX base
#define CK_HAS_FMA 0
#define CK_TILE_ROWS 1
#define CK_TILE_PANELS 2
#include "kernels/all.h"
