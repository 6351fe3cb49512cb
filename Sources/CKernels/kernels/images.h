// Images [samples, channels, height, width]: patches for products, norms over a channel, pools. Sums over a channel run over 16
// samples in float lanes, then in double, always in sample order.

INLINE ptrdiff_t CK(first_inside)(ptrdiff_t shift, ptrdiff_t stride) {
  return shift >= 0 ? 0 : (-shift + stride - 1) / stride;
}
INLINE ptrdiff_t CK(last_inside)(ptrdiff_t shift, ptrdiff_t stride, ptrdiff_t size, ptrdiff_t outputs) {
  if (size - 1 - shift < 0) return 0;
  ptrdiff_t last = (size - 1 - shift) / stride + 1;
  return last < outputs ? last : outputs;
}

void CK(ck_patches)(const float *x, struct ck_patch_shape s, float *out) {
  for (ptrdiff_t c = 0; c < s.channels; c++)
    for (ptrdiff_t ky = 0; ky < s.kernel; ky++)
      for (ptrdiff_t kx = 0; kx < s.kernel; kx++) {
        const ptrdiff_t shift = kx - s.padding;
        const ptrdiff_t low = CK(first_inside)(shift, s.stride);
        ptrdiff_t high = CK(last_inside)(shift, s.stride, s.width, s.out_width);
        if (high < low) high = low < s.out_width ? low : s.out_width;
        for (ptrdiff_t n = 0; n < s.samples; n++)
          for (ptrdiff_t oy = 0; oy < s.out_height; oy++, out += s.out_width) {
            const ptrdiff_t iy = oy * s.stride + ky - s.padding;
            if (iy < 0 || iy >= s.height || low >= s.out_width) {
              __builtin_memset(out, 0, (size_t)s.out_width * 4);
              continue;
            }
            const float *row = x + ((n * s.channels + c) * s.height + iy) * s.width + shift;
            for (ptrdiff_t i = 0; i < low; i++) out[i] = 0;
            if (s.stride == 1) {
              for (ptrdiff_t i = low; i < high; i++) out[i] = row[i];
            } else {
              for (ptrdiff_t i = low; i < high; i++) out[i] = row[i * s.stride];
            }
            for (ptrdiff_t i = high; i < s.out_width; i++) out[i] = 0;
          }
      }
}

void CK(ck_patches_backward)(const float *patches, struct ck_patch_shape s, float beta, float *dx) {
  if (beta == 0.0f) __builtin_memset(dx, 0, (size_t)(s.samples * s.channels * s.height * s.width) * 4);
  for (ptrdiff_t c = 0; c < s.channels; c++)
    for (ptrdiff_t ky = 0; ky < s.kernel; ky++)
      for (ptrdiff_t kx = 0; kx < s.kernel; kx++) {
        const ptrdiff_t shift = kx - s.padding;
        const ptrdiff_t low = CK(first_inside)(shift, s.stride);
        const ptrdiff_t high = CK(last_inside)(shift, s.stride, s.width, s.out_width);
        for (ptrdiff_t n = 0; n < s.samples; n++)
          for (ptrdiff_t oy = 0; oy < s.out_height; oy++, patches += s.out_width) {
            const ptrdiff_t iy = oy * s.stride + ky - s.padding;
            if (iy < 0 || iy >= s.height) continue;
            float *row = dx + ((n * s.channels + c) * s.height + iy) * s.width + shift;
            if (s.stride == 1) {
              for (ptrdiff_t i = low; i < high; i++) row[i] += patches[i];
            } else {
              for (ptrdiff_t i = low; i < high; i++) row[i * s.stride] += patches[i];
            }
          }
      }
}

void CK(ck_swap_planes)(const float *x, ptrdiff_t first, ptrdiff_t second, ptrdiff_t width, float *out) {
  for (ptrdiff_t i = 0; i < first; i++)
    for (ptrdiff_t j = 0; j < second; j++)
      __builtin_memcpy(out + (j * first + i) * width, x + (i * second + j) * width, (size_t)width * 4);
}

void CK(ck_channel_statistics)(const float *x, ptrdiff_t samples, ptrdiff_t channels, ptrdiff_t area, float *mean,
                               float *variance) {
  const double count = (double)(samples * area);
  for (ptrdiff_t c = 0; c < channels; c++) {
    double total = 0, squares = 0;
    for (ptrdiff_t first = 0; first < samples; first += 16) {
      ptrdiff_t last = samples - first < 16 ? samples : first + 16;
      f16 block = 0.0f;
      for (ptrdiff_t s = first; s < last; s++) {
        const float *plane = x + (s * channels + c) * area;
        FOR_LANES(i, n, area) block += LOAD(plane + i, n);
      }
      total += (double)CK(sum)(block);
    }
    const float middle = (float)(total / count);
    for (ptrdiff_t first = 0; first < samples; first += 16) {
      ptrdiff_t last = samples - first < 16 ? samples : first + 16;
      f16 block = 0.0f;
      for (ptrdiff_t s = first; s < last; s++)
        block += CK(row_sum_squares)(x + (s * channels + c) * area, area, (f16)middle);
      squares += (double)CK(sum)(block);
    }
    mean[c] = middle;
    variance[c] = (float)(squares / count);
  }
}

void CK(ck_channel_norm)(const float *x, const float *mean, const float *inverse, const float *gain, const float *bias,
                         ptrdiff_t samples, ptrdiff_t channels, ptrdiff_t area, float *out) {
  for (ptrdiff_t s = 0; s < samples; s++)
    for (ptrdiff_t c = 0; c < channels; c++, x += area, out += area) {
      const f16 scale = (f16)(inverse[c] * gain[c]), shift = (f16)bias[c];
      const float middle = mean[c];
      FOR_LANES(i, n, area) STORE(out + i, CK(fma)(LOAD(x + i, n) - middle, scale, shift), n);
    }
}

void CK(ck_channel_norm_sums)(const float *x, const float *mean, const float *inverse, const float *dy,
                              ptrdiff_t samples, ptrdiff_t channels, ptrdiff_t area, double *gain_sums,
                              double *bias_sums) {
  for (ptrdiff_t c = 0; c < channels; c++) {
    double product = 0, plain = 0;
    const float middle = mean[c];
    for (ptrdiff_t first = 0; first < samples; first += 16) {
      ptrdiff_t last = samples - first < 16 ? samples : first + 16;
      f16 block = 0.0f, total = 0.0f;
      for (ptrdiff_t s = first; s < last; s++) {
        const float *plane = x + (s * channels + c) * area, *share = dy + (s * channels + c) * area;
        FOR_LANES(i, n, area) {
          f16 g = LOAD(share + i, n);
          block = CK(fma)(g, LOAD(plane + i, n) - middle, block);
          total += g;
        }
      }
      product += (double)CK(sum)(block);
      plain += (double)CK(sum)(total);
    }
    gain_sums[c] = product * (double)inverse[c];
    bias_sums[c] = plain;
  }
}

void CK(ck_channel_norm_backward)(const float *x, const float *mean, const float *inverse, const float *gain,
                                  const float *dy, const double *gain_sums, const double *bias_sums, ptrdiff_t samples,
                                  ptrdiff_t channels, ptrdiff_t area, float beta, float *dx) {
  const double count = (double)(samples * area);
  for (ptrdiff_t s = 0; s < samples; s++)
    for (ptrdiff_t c = 0; c < channels; c++, x += area, dy += area, dx += area) {
      const float scale = inverse[c] * gain[c], middle = mean[c];
      const f16 average = (f16)(bias_sums ? (float)(bias_sums[c] / count) : 0.0f);
      const f16 slope = (f16)(gain_sums ? -(float)(gain_sums[c] / count * (double)inverse[c]) : 0.0f);
      FOR_LANES(i, n, area) {
        f16 g = CK(fma)(LOAD(x + i, n) - middle, slope, LOAD(dy + i, n) - average);
        BLEND(dx + i, g * scale, n, beta);
      }
    }
}

void CK(ck_plane_means)(const float *x, ptrdiff_t planes, ptrdiff_t area, float *out) {
  for (ptrdiff_t p = 0; p < planes; p++, x += area) {
    f16 total = 0.0f;
    FOR_LANES(i, n, area) total += LOAD(x + i, n);
    out[p] = CK(sum)(total) / (float)area;
  }
}

void CK(ck_plane_means_backward)(const float *dy, ptrdiff_t planes, ptrdiff_t area, float beta, float *dx) {
  for (ptrdiff_t p = 0; p < planes; p++, dx += area) {
    const f16 share = (f16)(dy[p] / (float)area);
    FOR_LANES(i, n, area) BLEND(dx + i, share, n, beta);
  }
}

/* The first largest element of a window; a NaN is larger than all and stays. */
INLINE ptrdiff_t CK(largest_of_window)(const float *window, ptrdiff_t size, ptrdiff_t width) {
  ptrdiff_t best = 0;
  for (ptrdiff_t y = 0; y < size; y++)
    for (ptrdiff_t x = 0; x < size; x++) {
      const float value = window[y * width + x], top = window[best];
      if (top == top && (value > top || value != value)) best = y * width + x;
    }
  return best;
}

void CK(ck_max_pool)(const float *x, ptrdiff_t planes, ptrdiff_t height, ptrdiff_t width, ptrdiff_t size, float *out) {
  for (ptrdiff_t p = 0; p < planes; p++, x += height * width)
    for (ptrdiff_t oy = 0; oy < height / size; oy++)
      for (ptrdiff_t ox = 0; ox < width / size; ox++) {
        const float *window = x + oy * size * width + ox * size;
        *out++ = window[CK(largest_of_window)(window, size, width)];
      }
}

void CK(ck_max_pool_backward)(const float *x, const float *dy, ptrdiff_t planes, ptrdiff_t height, ptrdiff_t width,
                              ptrdiff_t size, float beta, float *dx) {
  if (beta == 0.0f) __builtin_memset(dx, 0, (size_t)(planes * height * width) * 4);
  for (ptrdiff_t p = 0; p < planes; p++, x += height * width, dx += height * width)
    for (ptrdiff_t oy = 0; oy < height / size; oy++)
      for (ptrdiff_t ox = 0; ox < width / size; ox++) {
        const ptrdiff_t corner = oy * size * width + ox * size;
        dx[corner + CK(largest_of_window)(x + corner, size, width)] += *dy++;
      }
}
