// Sums, scalings, activations: one pass, no state.

void CK(ck_add)(const float *a, const float *b, float *out, ptrdiff_t count) {
  FOR_LANES(i, n, count) STORE(out + i, LOAD(a + i, n) + LOAD(b + i, n), n);
}

void CK(ck_scale)(const float *x, float factor, float beta, float *out, ptrdiff_t count) {
  FOR_LANES(i, n, count) BLEND(out + i, LOAD(x + i, n) * factor, n, beta);
}

void CK(ck_exp)(const float *x, float *out, ptrdiff_t count) {
  FOR_LANES(i, n, count) STORE(out + i, CK(exp16)(LOAD(x + i, n)), n);
}

void CK(ck_tanh)(const float *x, float *out, ptrdiff_t count) {
  FOR_LANES(i, n, count) STORE(out + i, CK(tanh16)(LOAD(x + i, n)), n);
}

void CK(ck_erf)(const float *x, float *out, ptrdiff_t count) {
  FOR_LANES(i, n, count) STORE(out + i, CK(erf16)(LOAD(x + i, n)), n);
}

INLINE f16 CK(logistic16)(f16 x) { return 1.0f / (1.0f + CK(exp16)(-x)); }

// x/2 · (1 + tanh u) is x · logistic(2u), which does not cancel for negative x.
#define GELU_OUTER 1.5957691216057308f                    /* 2 √(2/π) */
#define GELU_INNER (1.5957691216057308f * 0.044715f)      /* times x³ */
#define GELU_SLOPE (1.5957691216057308f * 3 * 0.044715f)  /* derivative of that, times x² */

void CK(ck_gelu_tanh)(const float *x, float *out, ptrdiff_t count) {
  FOR_LANES(i, n, count) {
    f16 v = LOAD(x + i, n);
    f16 u = CK(fma)(v * v, (f16)GELU_INNER, (f16)GELU_OUTER) * v;
    STORE(out + i, v * CK(logistic16)(u), n);
  }
}

void CK(ck_gelu_tanh_backward)(const float *x, const float *dy, float beta, float *dx, ptrdiff_t count) {
  FOR_LANES(i, n, count) {
    f16 v = LOAD(x + i, n), z = v * v;
    f16 s = CK(logistic16)(CK(fma)(z, (f16)GELU_INNER, (f16)GELU_OUTER) * v);
    f16 slope = CK(fma)(z, (f16)GELU_SLOPE, (f16)GELU_OUTER) * v;
    f16 derivative = CK(fma)(s * (1.0f - s), slope, s);
    BLEND(dx + i, LOAD(dy + i, n) * derivative, n, beta);
  }
}

void CK(ck_gelu_erf)(const float *x, float *out, ptrdiff_t count) {
  FOR_LANES(i, n, count) {
    f16 v = LOAD(x + i, n);
    STORE(out + i, 0.5f * v * (1.0f + CK(erf16)(v * 0.70710678118654752f)), n);
  }
}

void CK(ck_gelu_erf_backward)(const float *x, const float *dy, float beta, float *dx, ptrdiff_t count) {
  FOR_LANES(i, n, count) {
    f16 v = LOAD(x + i, n);
    f16 below = 0.5f * (1.0f + CK(erf16)(v * 0.70710678118654752f));
    f16 density = CK(exp16)(v * v * -0.5f) * 0.39894228040143268f;
    BLEND(dx + i, LOAD(dy + i, n) * CK(fma)(v, density, below), n, beta);
  }
}

void CK(ck_silu)(const float *x, float *out, ptrdiff_t count) {
  FOR_LANES(i, n, count) {
    f16 v = LOAD(x + i, n);
    STORE(out + i, v / (1.0f + CK(exp16)(-v)), n);
  }
}

void CK(ck_silu_backward)(const float *x, const float *dy, float beta, float *dx, ptrdiff_t count) {
  FOR_LANES(i, n, count) {
    f16 v = LOAD(x + i, n), s = CK(logistic16)(v);
    BLEND(dx + i, LOAD(dy + i, n) * CK(fma)(v * s, 1.0f - s, s), n, beta);
  }
}

/* NaN stays NaN: it is not below 0. */
void CK(ck_relu)(const float *x, float *out, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) out[i] = x[i] < 0.0f ? 0.0f : x[i];
}

void CK(ck_relu_backward)(const float *x, const float *dy, float beta, float *dx, ptrdiff_t count) {
  if (beta == 0.0f) {
    for (ptrdiff_t i = 0; i < count; i++) dx[i] = x[i] > 0.0f ? dy[i] : 0.0f;
  } else {
    for (ptrdiff_t i = 0; i < count; i++) dx[i] = beta * dx[i] + (x[i] > 0.0f ? dy[i] : 0.0f);
  }
}

void CK(ck_swiglu)(const float *x, ptrdiff_t rows, ptrdiff_t hidden, float *out) {
  for (ptrdiff_t row = 0; row < rows; row++, x += 2 * hidden, out += hidden) {
    FOR_LANES(i, n, hidden) {
      f16 gate = LOAD(x + i, n);
      STORE(out + i, gate / (1.0f + CK(exp16)(-gate)) * LOAD(x + hidden + i, n), n);
    }
  }
}

void CK(ck_swiglu_backward)(const float *x, const float *dy, ptrdiff_t rows, ptrdiff_t hidden, float beta, float *dx) {
  for (ptrdiff_t row = 0; row < rows; row++, x += 2 * hidden, dx += 2 * hidden, dy += hidden) {
    FOR_LANES(i, n, hidden) {
      f16 gate = LOAD(x + i, n), up = LOAD(x + hidden + i, n), g = LOAD(dy + i, n);
      f16 s = CK(logistic16)(gate), silu = gate * s;
      BLEND(dx + i, g * up * CK(fma)(silu, 1.0f - s, s), n, beta);
      BLEND(dx + hidden + i, g * silu, n, beta);
    }
  }
}
