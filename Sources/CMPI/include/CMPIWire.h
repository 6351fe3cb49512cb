/// Brain floats: the upper half of a float's bits, rounded to nearest, ties to even; a NaN stays one.
#ifndef CMPI_WIRE_H
#define CMPI_WIRE_H
#include <stdint.h>

/// out[i] = values[i] in 16 bits.
void cmpi_bfloat16_pack(const float *values, uint16_t *out, int64_t count);

/// out[i] = values[i] in 32 bits, exactly.
void cmpi_bfloat16_unpack(const uint16_t *values, float *out, int64_t count);

/// values[i] = what remains of it after the way through 16 bits.
void cmpi_bfloat16_round(float *values, int64_t count);

#endif
