#include "CKernels.h"
void ck_add(const float *a, const float *b, float *out, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) out[i] = a[i] + b[i];
}
