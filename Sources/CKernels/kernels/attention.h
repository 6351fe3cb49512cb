// What attention needs beside matrix products. Dao, Fu, Ermon, Rudra, Ré: FlashAttention, NeurIPS 2022, arXiv:2205.14135.

void CK(ck_rotary)(const float *x, const float *table, ptrdiff_t batch, ptrdiff_t time, ptrdiff_t heads, ptrdiff_t width,
                   ptrdiff_t row_width, float direction, float beta, float *out) {
  ptrdiff_t half = width / 2;
  for (ptrdiff_t row = 0; row < batch * time; row++, x += row_width, out += row_width) {
    const float *cosine = table + row % time * width, *sine = cosine + half;
    for (ptrdiff_t head = 0; head < heads; head++) {
      const float *a = x + head * width, *b = a + half;
      float *oa = out + head * width, *ob = oa + half;
      FOR_LANES(i, n, half) {
        f16 c = LOAD(cosine + i, n), s = LOAD(sine + i, n) * direction, u = LOAD(a + i, n), v = LOAD(b + i, n);
        BLEND(oa + i, CK(fma)(u, c, -(v * s)), n, beta);
        BLEND(ob + i, CK(fma)(v, c, u * s), n, beta);
      }
    }
    const float *rest = x + heads * width;
    float *to = out + heads * width;
    ptrdiff_t count = row_width - heads * width;
    FOR_LANES(i, n, count) BLEND(to + i, LOAD(rest + i, n), n, beta);
  }
}

void CK(ck_attention_softmax)(float *panel, ptrdiff_t rows, ptrdiff_t keys, ptrdiff_t ld, int causal, ptrdiff_t first,
                              float scale, float *log_sum_exp, float *inverse, float *largest_logit) {
  for (ptrdiff_t row = 0; row < rows; row++, panel += ld) {
    ptrdiff_t count = causal && first + row + 1 < keys ? first + row + 1 : keys;
    f16 largest = -__builtin_inff();
    FOR_LANES(i, n, count) {
      f16 v = n == 16 ? CK(load)(panel + i) : CK(load_part)(panel + i, n, -__builtin_inff());
      largest = CK(max)(v, largest);
    }
    float top = CK(largest)(largest) * scale;
    if (largest_logit && top > *largest_logit) *largest_logit = top;
    f16 total = 0.0f;
    FOR_LANES(i, n, count) {
      f16 v = n == 16 ? CK(load)(panel + i) : CK(load_part)(panel + i, n, -__builtin_inff());
      v = CK(exp16_negative)(CK(fma)(v, (f16)scale, (f16)-top));
      total += v;
      STORE(panel + i, v, n);
    }
    for (ptrdiff_t i = count; i < keys; i++) panel[i] = 0;
    float sum = CK(sum)(total);
    inverse[row] = 1.0f / sum;
    log_sum_exp[row] = top + (float)CK(log1)((double)sum);
  }
}

void CK(ck_scale_rows)(float *x, const float *factors, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t ld) {
  for (ptrdiff_t row = 0; row < rows; row++, x += ld)
    FOR_LANES(i, n, width) STORE(x + i, LOAD(x + i, n) * factors[row], n);
}

void CK(ck_row_dots)(const float *a, const float *b, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t ld, float *dots) {
  for (ptrdiff_t row = 0; row < rows; row++, a += ld, b += ld) {
    f16 total = 0.0f;
    FOR_LANES(i, n, width) total = CK(fma)(LOAD(a + i, n), LOAD(b + i, n), total);
    dots[row] = CK(sum)(total);
  }
}

void CK(ck_attention_backward)(float *panel, float *gradient, ptrdiff_t rows, ptrdiff_t keys, ptrdiff_t ld, int causal,
                               ptrdiff_t first, float scale, const float *log_sum_exp, const float *delta) {
  for (ptrdiff_t row = 0; row < rows; row++, panel += ld, gradient += ld) {
    ptrdiff_t count = causal && first + row + 1 < keys ? first + row + 1 : keys;
    f16 shift = -log_sum_exp[row], scaled_delta = -delta[row] * scale;
    FOR_LANES(i, n, count) {
      f16 p = CK(exp16_negative)(CK(fma)(LOAD(panel + i, n), (f16)scale, shift));
      STORE(panel + i, p, n);
      STORE(gradient + i, p * CK(fma)(LOAD(gradient + i, n), (f16)scale, scaled_delta), n);
    }
    for (ptrdiff_t i = count; i < keys; i++) panel[i] = gradient[i] = 0;
  }
}
