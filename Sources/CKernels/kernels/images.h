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

/* Where one element of the kernel meets the image: rows and columns of the output, and how far on in a plane of the image. */
struct CK(meeting) {
  ptrdiff_t top, bottom, low, high, shift;
};
INLINE struct CK(meeting) CK(meet)(const struct ck_patch_shape *s, ptrdiff_t ky, ptrdiff_t kx) {
  struct CK(meeting) m;
  m.top = CK(first_inside)(ky - s->padding, s->stride);
  m.bottom = CK(last_inside)(ky - s->padding, s->stride, s->height, s->out_height);
  m.low = CK(first_inside)(kx - s->padding, s->stride);
  m.high = CK(last_inside)(kx - s->padding, s->stride, s->width, s->out_width);
  if (m.top >= m.bottom || m.low >= m.high) m.top = m.bottom = m.low = m.high = 0;
  m.shift = (ky - s->padding) * s->width + kx - s->padding;
  return m;
}

/* Where the output has the image's size, an element's plane is the image's, moved: one stretch, but for columns that come from a
   neighbouring row. */
INLINE int CK(keeps_size)(const struct ck_patch_shape *s) {
  return s->stride == 1 && s->out_height == s->height && s->out_width == s->width;
}
INLINE void CK(clear_columns)(float *plane, ptrdiff_t width, struct CK(meeting) m) {
  if (m.low == 0 && m.high == width) return;
  for (ptrdiff_t y = m.top; y < m.bottom; y++) {
    for (ptrdiff_t i = 0; i < m.low; i++) plane[y * width + i] = 0;
    for (ptrdiff_t i = m.high; i < width; i++) plane[y * width + i] = 0;
  }
}

INLINE void CK(moved_plane)(const float *plane, ptrdiff_t width, ptrdiff_t area, struct CK(meeting) m, float *out) {
  const ptrdiff_t first = m.bottom ? m.top * width + m.low : 0, last = m.bottom ? (m.bottom - 1) * width + m.high : 0;
  __builtin_memset(out, 0, (size_t)first * 4);
  if (last > first) __builtin_memcpy(out + first, plane + first + m.shift, (size_t)(last - first) * 4);
  __builtin_memset(out + last, 0, (size_t)(area - last) * 4);
  CK(clear_columns)(out, width, m);
}

INLINE void CK(strided_plane)(const float *plane, const struct ck_patch_shape *s, struct CK(meeting) m, float *out) {
  __builtin_memset(out, 0, (size_t)(s->out_height * s->out_width) * 4);
  for (ptrdiff_t y = m.top; y < m.bottom; y++) {
    const float *row = plane + y * s->stride * s->width + m.shift;
    for (ptrdiff_t i = m.low; i < m.high; i++) out[y * s->out_width + i] = row[i * s->stride];
  }
}

void CK(ck_patches)(const float *x, struct ck_patch_shape s, float *out) {
  const ptrdiff_t area = s.height * s.width;
  for (ptrdiff_t c = 0; c < s.channels; c++)
    for (ptrdiff_t ky = 0; ky < s.kernel; ky++)
      for (ptrdiff_t kx = 0; kx < s.kernel; kx++) {
        const struct CK(meeting) m = CK(meet)(&s, ky, kx);
        for (ptrdiff_t n = 0; n < s.samples; n++, out += s.out_height * s.out_width) {
          const float *plane = x + (n * s.channels + c) * area;
          if (CK(keeps_size)(&s)) CK(moved_plane)(plane, s.width, area, m, out);
          else CK(strided_plane)(plane, &s, m, out);
        }
      }
}

INLINE void CK(add_moved_plane)(float *patch, ptrdiff_t width, struct CK(meeting) m, float *plane) {
  if (!m.bottom) return;
  CK(clear_columns)(patch, width, m);
  const ptrdiff_t first = m.top * width + m.low, count = (m.bottom - 1) * width + m.high - first;
  float *to = plane + first + m.shift;
  const float *from = patch + first;
  FOR_LANES(i, n, count) STORE(to + i, LOAD(to + i, n) + LOAD(from + i, n), n);
}

INLINE void CK(add_strided_plane)(const float *patch, const struct ck_patch_shape *s, struct CK(meeting) m,
                                  float *plane) {
  for (ptrdiff_t y = m.top; y < m.bottom; y++) {
    float *row = plane + y * s->stride * s->width + m.shift;
    for (ptrdiff_t i = m.low; i < m.high; i++) row[i * s->stride] += patch[y * s->out_width + i];
  }
}

void CK(ck_patches_backward)(float *patches, struct ck_patch_shape s, float beta, float *dx) {
  const ptrdiff_t area = s.height * s.width;
  if (beta == 0.0f) __builtin_memset(dx, 0, (size_t)(s.samples * s.channels * area) * 4);
  for (ptrdiff_t c = 0; c < s.channels; c++)
    for (ptrdiff_t ky = 0; ky < s.kernel; ky++)
      for (ptrdiff_t kx = 0; kx < s.kernel; kx++) {
        const struct CK(meeting) m = CK(meet)(&s, ky, kx);
        for (ptrdiff_t n = 0; n < s.samples; n++, patches += s.out_height * s.out_width) {
          float *plane = dx + (n * s.channels + c) * area;
          if (CK(keeps_size)(&s)) CK(add_moved_plane)(patches, s.width, m, plane);
          else CK(add_strided_plane)(patches, &s, m, plane);
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
INLINE ptrdiff_t CK(largest_of_window)(const float *plane, const struct ck_pool_shape *s, ptrdiff_t oy, ptrdiff_t ox) {
  const ptrdiff_t first = oy * s->stride - s->padding, start = ox * s->stride - s->padding;
  const ptrdiff_t top = first < 0 ? 0 : first, left = start < 0 ? 0 : start;
  const ptrdiff_t bottom = first + s->size < s->height ? first + s->size : s->height;
  const ptrdiff_t right = start + s->size < s->width ? start + s->size : s->width;
  ptrdiff_t best = top * s->width + left;
  for (ptrdiff_t y = top; y < bottom; y++)
    for (ptrdiff_t x = left; x < right; x++) {
      const float value = plane[y * s->width + x], largest = plane[best];
      if (largest == largest && (value > largest || value != value)) best = y * s->width + x;
    }
  return best;
}

void CK(ck_max_pool)(const float *x, struct ck_pool_shape s, float *out) {
  for (ptrdiff_t p = 0; p < s.planes; p++, x += s.height * s.width)
    for (ptrdiff_t oy = 0; oy < s.out_height; oy++)
      for (ptrdiff_t ox = 0; ox < s.out_width; ox++) *out++ = x[CK(largest_of_window)(x, &s, oy, ox)];
}

void CK(ck_max_pool_backward)(const float *x, const float *dy, struct ck_pool_shape s, float beta, float *dx) {
  if (beta == 0.0f) __builtin_memset(dx, 0, (size_t)(s.planes * s.height * s.width) * 4);
  for (ptrdiff_t p = 0; p < s.planes; p++, x += s.height * s.width, dx += s.height * s.width)
    for (ptrdiff_t oy = 0; oy < s.out_height; oy++)
      for (ptrdiff_t ox = 0; ox < s.out_width; ox++) dx[CK(largest_of_window)(x, &s, oy, ox)] += *dy++;
}
