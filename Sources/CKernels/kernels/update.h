// Optimizer steps, sums, digests, byte planes: flat runs of memory.

void CK(ck_adamw)(float *value, const float *gradient, float *m, float *v, ptrdiff_t count, double rate, double beta1,
                  double beta2, double epsilon, double decay, double correction1, double correction2,
                  double gradient_scale) {
  // 1 - beta is taken in double: in float, 1 - 0.999f is wrong in the fifth digit.
  float b1 = (float)beta1, r1 = (float)(1 - beta1), b2 = (float)beta2, r2 = (float)(1 - beta2);
  float keep = (float)(1 - rate * decay), step = (float)(rate / correction1);
  float root = (float)(1 / __builtin_sqrt(correction2)), eps = (float)epsilon, scale = (float)gradient_scale;
  FOR_LANES(i, n, count) {
    f16 g = LOAD(gradient + i, n) * scale;
    f16 first = CK(fma)(LOAD(m + i, n), (f16)b1, g * r1);
    f16 second = CK(fma)(LOAD(v + i, n), (f16)b2, g * g * r2);
    STORE(m + i, first, n);
    STORE(v + i, second, n);
    f16 size = CK(fma)(__builtin_elementwise_sqrt(second), (f16)root, (f16)eps);
    STORE(value + i, CK(fma)(LOAD(value + i, n), (f16)keep, -(first * step / size)), n);
  }
}

void CK(ck_sgd)(float *value, const float *gradient, float *buffer, ptrdiff_t count, double rate, double momentum,
                int nesterov, double decay, double gradient_scale) {
  float keep = (float)(1 - rate * decay), step = (float)rate, mu = (float)momentum, scale = (float)gradient_scale;
  FOR_LANES(i, n, count) {
    f16 g = LOAD(gradient + i, n) * scale;
    if (buffer) {
      f16 b = CK(fma)(LOAD(buffer + i, n), (f16)mu, g);
      STORE(buffer + i, b, n);
      g = nesterov ? CK(fma)(b, (f16)mu, g) : b;
    }
    STORE(value + i, CK(fma)(LOAD(value + i, n), (f16)keep, -(g * step)), n);
  }
}

void CK(ck_momentum)(const float *gradient, float *buffer, float *direction, ptrdiff_t count, double keep, double share,
                     int nesterov, double gradient_scale) {
  float mu = (float)keep, part = (float)(share * gradient_scale);
  FOR_LANES(i, n, count) {
    f16 g = LOAD(gradient + i, n) * part;
    f16 b = CK(fma)(LOAD(buffer + i, n), (f16)mu, g);
    STORE(buffer + i, b, n);
    STORE(direction + i, nesterov ? CK(fma)(b, (f16)mu, g) : b, n);
  }
}

// The square of a float is exact in double, so fused and unfused sums agree.
double CK(ck_sum_of_squares)(const float *x, ptrdiff_t count) {
  d16 total = 0.0;
  FOR_LANES(i, n, count) {
    d16 v = __builtin_convertvector(LOAD(x + i, n), d16);
    total += v * v;
  }
  return CK(sum_double)(total);
}

int CK(ck_is_finite)(const float *x, ptrdiff_t count) {
  for (ptrdiff_t first = 0; first < count; first += 4096) {
    ptrdiff_t last = count - first < 4096 ? count : first + 4096;
    i16 bad = 0;
    FOR_LANES(i, n, last - first)
    bad |= (CK(float_to_bits)(LOAD(x + first + i, n)) & 0x7F800000) == 0x7F800000;
    int any = 0;
    for (int lane = 0; lane < 16; lane++) any |= bad[lane];
    if (any) return 0;
  }
  return 1;
}

void CK(ck_digest)(uint64_t h, uint64_t first_index, const uint32_t *bits, ptrdiff_t count, uint64_t *low,
                   uint64_t *high) {
  uint64_t a = 0, b = 0;
  for (ptrdiff_t i = 0; i < count; i++) {
    uint64_t index = first_index + (uint64_t)i;
    a += CK(mix)(CK(mix)(h + index) ^ bits[i]);
    b += CK(mix)(CK(mix)(~h + index) ^ bits[i]);
  }
  *low += a;
  *high += b;
}

#define PLANES(bytes, type)                                                                                            \
  INLINE void CK(split##bytes)(const uint8_t *src, uint8_t *dst, ptrdiff_t count, int rotate) {                        \
    for (ptrdiff_t i = 0; i < count; i++) {                                                                            \
      type v;                                                                                                          \
      __builtin_memcpy(&v, src + i * bytes, bytes);                                                                    \
      if (rotate) v = (type)(v << 1 | v >> (8 * bytes - 1));                                                           \
      for (int k = 0; k < bytes; k++) dst[k * count + i] = (uint8_t)(v >> 8 * k);                                      \
    }                                                                                                                  \
  }                                                                                                                    \
  INLINE void CK(join##bytes)(const uint8_t *src, uint8_t *dst, ptrdiff_t count, int rotate) {                         \
    for (ptrdiff_t i = 0; i < count; i++) {                                                                            \
      type v = 0;                                                                                                      \
      for (int k = 0; k < bytes; k++) v = (type)(v | (type)src[k * count + i] << 8 * k);                               \
      if (rotate) v = (type)(v >> 1 | v << (8 * bytes - 1));                                                           \
      __builtin_memcpy(dst + i * bytes, &v, bytes);                                                                    \
    }                                                                                                                  \
  }
PLANES(1, uint8_t)
PLANES(2, uint16_t)
PLANES(4, uint32_t)
PLANES(8, uint64_t)
#undef PLANES

void CK(ck_planes_split)(const void *src, void *dst, ptrdiff_t count, int element_size, int rotate) {
  switch (element_size) {
    case 1: CK(split1)(src, dst, count, rotate); break;
    case 2: CK(split2)(src, dst, count, rotate); break;
    case 4: CK(split4)(src, dst, count, rotate); break;
    case 8: CK(split8)(src, dst, count, rotate); break;
    default: __builtin_trap();
  }
}

void CK(ck_planes_join)(const void *src, void *dst, ptrdiff_t count, int element_size, int rotate) {
  switch (element_size) {
    case 1: CK(join1)(src, dst, count, rotate); break;
    case 2: CK(join2)(src, dst, count, rotate); break;
    case 4: CK(join4)(src, dst, count, rotate); break;
    case 8: CK(join8)(src, dst, count, rotate); break;
    default: __builtin_trap();
  }
}
