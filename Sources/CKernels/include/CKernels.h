/// Espalier's kernels: plain C, compiled once per processor level, chosen at start.
#ifndef CKERNELS_H
#define CKERNELS_H
#include <stddef.h>
#include <stdint.h>

/// out[i] = a[i] + b[i]; out may be a or b.
void ck_add(const float *a, const float *b, float *out, ptrdiff_t count);

#endif
