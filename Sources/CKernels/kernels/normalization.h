// Norms over rows. Gradients of gains and biases are summed over 16 rows in float, then in double, always in row order.

INLINE f16 CK(row_sum_squares)(const float *x, ptrdiff_t columns, f16 mean) {
  f16 total = 0.0f;
  FOR_LANES(i, n, columns) {
    f16 v = n == 16 ? CK(load)(x + i) - mean : CK(load_part)(x + i, n, mean[0]) - mean;
    total = CK(fma)(v, v, total);
  }
  return total;
}

void CK(ck_rms_norm)(const float *x, const float *gain, float epsilon, ptrdiff_t rows, ptrdiff_t columns, float *out,
                     float *inverse) {
  for (ptrdiff_t row = 0; row < rows; row++, x += columns, out += columns) {
    float mean_square = CK(sum)(CK(row_sum_squares)(x, columns, (f16)0.0f)) / (float)columns;
    float scale = 1.0f / __builtin_sqrtf(mean_square + epsilon);
    inverse[row] = scale;
    FOR_LANES(i, n, columns) STORE(out + i, LOAD(x + i, n) * scale * LOAD(gain + i, n), n);
  }
}


void CK(ck_rms_norm_backward)(const float *x, const float *gain, const float *inverse, const float *dy, ptrdiff_t rows,
                              ptrdiff_t columns, float beta, float *dx, double *gain_sums) {
  if (gain_sums) __builtin_memset(gain_sums, 0, (size_t)columns * 8);
  for (ptrdiff_t first = 0; first < rows; first += 16) {
    ptrdiff_t last = rows - first < 16 ? rows : first + 16;
    for (ptrdiff_t row = first; dx && row < last; row++) {
      const float *xr = x + row * columns, *dyr = dy + row * columns;
      float *dxr = dx + row * columns;
      f16 dots = 0.0f;
      FOR_LANES(i, n, columns) dots = CK(fma)(LOAD(dyr + i, n) * LOAD(gain + i, n), LOAD(xr + i, n), dots);
      float s = inverse[row];
      float share = CK(sum)(dots) / (float)columns * s * s * s;
      FOR_LANES(i, n, columns) {
        f16 g = LOAD(dyr + i, n) * LOAD(gain + i, n) * s;
        BLEND(dxr + i, CK(fma)(LOAD(xr + i, n), (f16)-share, g), n, beta);
      }
    }
    if (!gain_sums) continue;
    FOR_LANES(i, n, columns) {
      f16 block = 0.0f;
      for (ptrdiff_t row = first; row < last; row++)
        block = CK(fma)(LOAD(dy + row * columns + i, n), LOAD(x + row * columns + i, n) * inverse[row], block);
      for (ptrdiff_t j = 0; j < n; j++) gain_sums[i + j] += (double)block[j];
    }
  }
}

void CK(ck_layer_norm)(const float *x, const float *gain, const float *bias, float epsilon, ptrdiff_t rows,
                       ptrdiff_t columns, float *out, float *mean, float *inverse) {
  for (ptrdiff_t row = 0; row < rows; row++, x += columns, out += columns) {
    f16 total = 0.0f;
    FOR_LANES(i, n, columns) total += LOAD(x + i, n);
    float middle = CK(sum)(total) / (float)columns;
    float variance = CK(sum)(CK(row_sum_squares)(x, columns, (f16)middle)) / (float)columns;
    float scale = 1.0f / __builtin_sqrtf(variance + epsilon);
    mean[row] = middle;
    inverse[row] = scale;
    FOR_LANES(i, n, columns) {
      f16 v = (LOAD(x + i, n) - middle) * scale;
      STORE(out + i, CK(fma)(v, LOAD(gain + i, n), bias ? LOAD(bias + i, n) : (f16)0.0f), n);
    }
  }
}

void CK(ck_layer_norm_backward)(const float *x, const float *gain, const float *mean, const float *inverse,
                                const float *dy, ptrdiff_t rows, ptrdiff_t columns, float beta, float *dx,
                                double *gain_sums, double *bias_sums) {
  if (gain_sums) __builtin_memset(gain_sums, 0, (size_t)columns * 8);
  if (bias_sums) __builtin_memset(bias_sums, 0, (size_t)columns * 8);
  for (ptrdiff_t first = 0; first < rows; first += 16) {
    ptrdiff_t last = rows - first < 16 ? rows : first + 16;
    for (ptrdiff_t row = first; dx && row < last; row++) {
      const float *xr = x + row * columns, *dyr = dy + row * columns;
      float *dxr = dx + row * columns;
      float middle = mean[row], s = inverse[row];
      f16 dots = 0.0f, total = 0.0f;
      FOR_LANES(i, n, columns) {
        f16 g = LOAD(dyr + i, n) * LOAD(gain + i, n);
        total += g;
        dots = CK(fma)(g, (LOAD(xr + i, n) - middle) * s, dots);
      }
      float average = CK(sum)(total) / (float)columns, share = CK(sum)(dots) / (float)columns;
      FOR_LANES(i, n, columns) {
        f16 g = LOAD(dyr + i, n) * LOAD(gain + i, n) - average;
        BLEND(dxr + i, CK(fma)((LOAD(xr + i, n) - middle) * s, (f16)-share, g) * s, n, beta);
      }
    }
    if (!gain_sums && !bias_sums) continue;
    FOR_LANES(i, n, columns) {
      f16 block = 0.0f, plain = 0.0f;
      for (ptrdiff_t row = first; row < last; row++) {
        f16 g = LOAD(dy + row * columns + i, n);
        block = CK(fma)(g, (LOAD(x + row * columns + i, n) - mean[row]) * inverse[row], block);
        plain += g;
      }
      for (ptrdiff_t j = 0; gain_sums && j < n; j++) gain_sums[i + j] += (double)block[j];
      for (ptrdiff_t j = 0; bias_sums && j < n; j++) bias_sums[i + j] += (double)plain[j];
    }
  }
}

void CK(ck_column_sums)(const float *x, ptrdiff_t rows, ptrdiff_t columns, double *sums) {
  __builtin_memset(sums, 0, (size_t)columns * 8);
  for (ptrdiff_t first = 0; first < rows; first += 16) {
    ptrdiff_t last = rows - first < 16 ? rows : first + 16;
    FOR_LANES(i, n, columns) {
      f16 block = 0.0f;
      for (ptrdiff_t row = first; row < last; row++) block += LOAD(x + row * columns + i, n);
      for (ptrdiff_t j = 0; j < n; j++) sums[i + j] += (double)block[j];
    }
  }
}

void CK(ck_store_sums)(const double *sums, ptrdiff_t count, float beta, float *out) {
  for (ptrdiff_t i = 0; i < count; i++) out[i] = beta == 0 ? (float)sums[i] : out[i] + (float)sums[i];
}
