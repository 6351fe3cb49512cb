// Rows by index, cross-entropy, dropout.

void CK(ck_gather_rows)(const float *table, const int32_t *indices, ptrdiff_t count, ptrdiff_t width, float *out) {
  for (ptrdiff_t i = 0; i < count; i++)
    __builtin_memcpy(out + i * width, table + (ptrdiff_t)indices[i] * width, (size_t)width * 4);
}

void CK(ck_scatter_add_rows)(const float *x, const int32_t *indices, ptrdiff_t count, ptrdiff_t width, float *table) {
  for (ptrdiff_t row = 0; row < count; row++, x += width) {
    float *to = table + (ptrdiff_t)indices[row] * width;
    FOR_LANES(i, n, width) STORE(to + i, LOAD(to + i, n) + LOAD(x + i, n), n);
  }
}

double CK(ck_cross_entropy)(const float *logits, const int32_t *targets, int32_t ignored, ptrdiff_t rows,
                            ptrdiff_t classes, float scale, float *gradient, int64_t *correct) {
  double loss = 0;
  for (ptrdiff_t row = 0; row < rows; row++, logits += classes) {
    float *to = gradient ? gradient + row * classes : 0;
    int32_t target = targets[row];
    if (target == ignored) {
      if (to) __builtin_memset(to, 0, (size_t)classes * 4);
      continue;
    }
    f16 largest = -__builtin_inff();
    FOR_LANES(i, n, classes) {
      f16 v = n == 16 ? CK(load)(logits + i) : CK(load_part)(logits + i, n, -__builtin_inff());
      largest = CK(max)(v, largest);
    }
    float top = CK(largest)(largest);
    f16 total = 0.0f;
    FOR_LANES(i, n, classes) {
      f16 v = n == 16 ? CK(load)(logits + i) : CK(load_part)(logits + i, n, -__builtin_inff());
      v = CK(exp16_negative)(v - top);
      total += v;
      if (to) STORE(to + i, v, n);
    }
    float sum = CK(sum)(total);
    double term = CK(log1)((double)sum) + ((double)top - (double)logits[target]);
    loss += term;
    if (to) {
      float factor = scale / sum;
      FOR_LANES(i, n, classes) STORE(to + i, LOAD(to + i, n) * factor, n);
      to[target] -= scale;
    }
    if (logits[target] == top && term == term) {
      ptrdiff_t i = 0;
      while (i < target && logits[i] != top) i++;
      *correct += i == target;
    }
  }
  return loss;
}

INLINE uint64_t CK(mix)(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

void CK(ck_dropout)(const float *x, uint64_t state, uint64_t threshold, float factor, float beta, float *out,
                    ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    uint64_t bits = CK(mix)(state + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15ull);
    float v = bits >= threshold ? x[i] * factor : 0;
    out[i] = beta == 0 ? v : out[i] + v;
  }
}
