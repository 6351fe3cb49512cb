/// The kernels for whatever processor the compiler assumes.
#define CK_SUFFIX base
#define CK_HAS_FMA 0
#include "kernels/all.h"
