#include "CMPIWire.h"

#include <string.h>

static inline uint16_t packed(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  // Rounding would carry a NaN with a small payload to infinity; setting the quiet bit keeps it one.
  uint32_t quiet = bits >> 16 | 0x40;
  return (uint16_t)((bits & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded);
}

static inline float unpacked(uint16_t value) {
  uint32_t bits = (uint32_t)value << 16;
  float result;
  memcpy(&result, &bits, 4);
  return result;
}

void cmpi_bfloat16_pack(const float *values, uint16_t *out, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = packed(values[i]);
}

void cmpi_bfloat16_unpack(const uint16_t *values, float *out, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = unpacked(values[i]);
}

void cmpi_bfloat16_round(float *values, int64_t count) {
  for (int64_t i = 0; i < count; i++) values[i] = unpacked(packed(values[i]));
}
