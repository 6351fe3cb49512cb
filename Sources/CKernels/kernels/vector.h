// Sixteen lanes, whatever the registers are: every level computes each lane in the same way, and sums have sixteen accumulators
// on every level. Contraction is off and fused multiply-adds are written out, so the bits follow from the source alone.

typedef float CK(f16) __attribute__((ext_vector_type(16)));
typedef int32_t CK(i16) __attribute__((ext_vector_type(16)));
typedef double CK(d16) __attribute__((ext_vector_type(16)));
#define f16 CK(f16)
#define i16 CK(i16)
#define d16 CK(d16)
#define INLINE static inline __attribute__((always_inline))

INLINE f16 CK(load)(const float *p) {
  f16 v;
  __builtin_memcpy(&v, p, 64);
  return v;
}
INLINE void CK(store)(float *p, f16 v) { __builtin_memcpy(p, &v, 64); }

/// The first n < 16 lanes; the others are `rest`.
INLINE f16 CK(load_part)(const float *p, ptrdiff_t n, float rest) {
  f16 v = rest;
  __builtin_memcpy(&v, p, (size_t)n * 4);
  return v;
}
INLINE void CK(store_part)(float *p, f16 v, ptrdiff_t n) { __builtin_memcpy(p, &v, (size_t)n * 4); }

/// a·b + c, rounded once where the processor can.
INLINE f16 CK(fma)(f16 a, f16 b, f16 c) {
#if CK_HAS_FMA
  return __builtin_elementwise_fma(a, b, c);
#else
  return a * b + c;
#endif
}
INLINE f16 CK(bits_to_float)(i16 v) { return (f16)v; }
INLINE i16 CK(float_to_bits)(f16 v) { return (i16)v; }

/// The larger of the two; b where either is NaN.
INLINE f16 CK(max)(f16 a, f16 b) { return a > b ? a : b; }

INLINE float CK(sum)(f16 v) {
  float lane[16];
  __builtin_memcpy(lane, &v, 64);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lane[i] += lane[i + width];
  return lane[0];
}
INLINE double CK(sum_double)(d16 v) {
  double lane[16];
  __builtin_memcpy(lane, &v, 128);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lane[i] += lane[i + width];
  return lane[0];
}
INLINE float CK(largest)(f16 v) {
  float lane[16];
  __builtin_memcpy(lane, &v, 64);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lane[i] = lane[i] > lane[i + width] ? lane[i] : lane[i + width];
  return lane[0];
}

/// Runs `body` for every group of lanes of 0 ..< count; `n` is 16 except perhaps in the last group.
#define FOR_LANES(i, n, count)                                                                                         \
  for (ptrdiff_t i = 0, n; i < (count) && (n = (count) - i < 16 ? (count) - i : 16, 1); i += 16)
#define LOAD(p, n) ((n) == 16 ? CK(load)(p) : CK(load_part)((p), (n), 0))
#define STORE(p, v, n) ((n) == 16 ? CK(store)((p), (v)) : CK(store_part)((p), (v), (n)))
/// Stores beta · what is there + v.
#define BLEND(p, v, n, beta) STORE(p, (beta) == 0 ? (v) : LOAD(p, n) + (v), n)

/// e^x with 2^n applied in two steps, so that the result underflows gradually and overflows to ∞.
/// Coefficients: Moshier, Cephes expf. Lanes with NaN stay NaN.
INLINE f16 CK(exp16)(f16 x) {
  f16 c = x > 89.0f ? (f16)89.0f : x;
  c = c < -104.0f ? (f16)-104.0f : c;
  f16 k = CK(fma)(c, (f16)1.44269504088896341f, (f16)12582912.0f);
  i16 n = CK(float_to_bits)(k) - 0x4B400000;
  k = k - 12582912.0f;
  f16 r = CK(fma)(k, (f16)-0.693359375f, c);
  r = CK(fma)(k, (f16)2.12194440e-4f, r);
  f16 p = CK(fma)((f16)1.9875691500e-4f, r, (f16)1.3981999507e-3f);
  p = CK(fma)(p, r, (f16)8.3334519073e-3f);
  p = CK(fma)(p, r, (f16)4.1665795894e-2f);
  p = CK(fma)(p, r, (f16)1.6666665459e-1f);
  p = CK(fma)(p, r, (f16)5.0000001201e-1f);
  p = CK(fma)(p, r * r, r) + 1.0f;
  i16 half = n >> 1;
  f16 first = CK(bits_to_float)((half + 127) << 23);
  f16 second = CK(bits_to_float)((n - half + 127) << 23);
  return p * first * second;
}

/// e^x for x ≤ 88, 0 below -87 (2^-126 is e^-87.3): one scaling less. What a softmax needs. NaN stays NaN.
INLINE f16 CK(exp16_negative)(f16 x) {
  f16 c = x < -87.0f ? (f16)-87.0f : x;
  f16 k = CK(fma)(c, (f16)1.44269504088896341f, (f16)12582912.0f);
  i16 n = CK(float_to_bits)(k) << 23;
  k = k - 12582912.0f;
  f16 r = CK(fma)(k, (f16)-0.693359375f, c);
  r = CK(fma)(k, (f16)2.12194440e-4f, r);
  f16 p = CK(fma)((f16)1.9875691500e-4f, r, (f16)1.3981999507e-3f);
  p = CK(fma)(p, r, (f16)8.3334519073e-3f);
  p = CK(fma)(p, r, (f16)4.1665795894e-2f);
  p = CK(fma)(p, r, (f16)1.6666665459e-1f);
  p = CK(fma)(p, r, (f16)5.0000001201e-1f);
  p = CK(fma)(p, r * r, r) + 1.0f;
  p = CK(bits_to_float)(CK(float_to_bits)(p) + n);
  return x < -87.0f ? (f16)0.0f : p;
}

/// tanh x: Cephes' polynomial below 0.625, 1 - 2/(e^2|x| + 1) above.
INLINE f16 CK(tanh16)(f16 x) {
  f16 a = __builtin_elementwise_abs(x);
  f16 z = x * x;
  f16 p = CK(fma)((f16)-5.70498872745e-3f, z, (f16)2.06390887954e-2f);
  p = CK(fma)(p, z, (f16)-5.37397155531e-2f);
  p = CK(fma)(p, z, (f16)1.33314422036e-1f);
  p = CK(fma)(p, z, (f16)-3.33332819422e-1f);
  p = CK(fma)(p * z, x, x);
  f16 large = 1.0f - 2.0f / (CK(exp16)(a + a) + 1.0f);
  large = x < 0.0f ? -large : large;
  return a < 0.625f ? p : large;
}

/// erf x: a polynomial below 475/512, 1 - e^(a polynomial) above, after N. Juffa's erff.
INLINE f16 CK(erf16)(f16 x) {
  f16 t = __builtin_elementwise_abs(x);
  f16 s = x * x;
  f16 q = (f16)-5.96761703e-4f;
  q = CK(fma)(q, s, (f16)4.99119423e-3f);
  q = CK(fma)(q, s, (f16)-2.67681349e-2f);
  q = CK(fma)(q, s, (f16)1.12819925e-1f);
  q = CK(fma)(q, s, (f16)-3.76125336e-1f);
  q = CK(fma)(q, s, (f16)1.28379166e-1f);
  q = CK(fma)(q, x, x);
  f16 b = t > 4.0f ? (f16)4.0f : t;
  s = b * b;
  f16 r = CK(fma)((f16)-1.72853470e-5f, b, (f16)3.83197126e-4f);
  f16 u = CK(fma)((f16)-3.88396438e-3f, b, (f16)2.42546219e-2f);
  r = CK(fma)(r, s, u);
  r = CK(fma)(r, b, (f16)-1.06777877e-1f);
  r = CK(fma)(r, b, (f16)-6.34846687e-1f);
  r = CK(fma)(r, b, (f16)-1.28717512e-1f);
  r = CK(fma)(r, b, -b);
  r = 1.0f - CK(exp16)(r);
  r = x < 0.0f ? -r : r;
  return t > 0.927734375f ? r : q;
}

/// log of a positive normal or infinite number, by the odd series of 2 artanh((m - 1)/(m + 1)), to about 1e-15; no library
/// function, whose last bit could differ between two machines. NaN stays NaN, 0 gives -∞.
INLINE double CK(log1)(double x) {
  if (!(x > 0 && x < __builtin_inf())) return x == 0 ? -__builtin_inf() : x;
  uint64_t bits;
  __builtin_memcpy(&bits, &x, 8);

  int64_t exponent = (int64_t)(bits - 0x3FE6A09E667F3BCDull) >> 52;
  bits -= (uint64_t)exponent << 52;
  double m;
  __builtin_memcpy(&m, &bits, 8);  // in [√½, √2)
  double s = (m - 1) / (m + 1), z = s * s, p = 0;
  for (int k = 21; k > 1; k -= 2) p = (p + 1.0 / k) * z;
  return 2 * s * (1 + p) + (double)exponent * 0.69314718055994530942;
}
