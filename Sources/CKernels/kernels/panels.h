// Matrices in panels of 16 rows side by side: what a tile of a product reads and writes lies without a gap.

typedef float CK(f8) __attribute__((ext_vector_type(8)));

// A square of 8 is transposed in registers: in round `bit` every pair of rows that differ in this bit of their number exchanges the lanes
// that differ in it.
#define LANE_LOW(bit, i) ((i) & (bit) ? 8 + (i) - (bit) : (i))
#define LANE_HIGH(bit, i) ((i) & (bit) ? 8 + (i) : (i) + (bit))
#define LANES(which, bit)                                                                                              \
  which(bit, 0), which(bit, 1), which(bit, 2), which(bit, 3), which(bit, 4), which(bit, 5), which(bit, 6), which(bit, 7)
#define ROUND(bit)                                                                                                     \
  for (int i = 0; i < 8; i++)                                                                                          \
    if (!(i & bit)) {                                                                                                  \
      CK(f8) low = rows[i], high = rows[i + bit];                                                                      \
      rows[i] = __builtin_shufflevector(low, high, LANES(LANE_LOW, bit));                                              \
      rows[i + bit] = __builtin_shufflevector(low, high, LANES(LANE_HIGH, bit));                                       \
    }

/// A square of 16: its rows, `row` apart, become columns, times a factor.
INLINE void CK(transpose)(const float *from, ptrdiff_t row, float *to, ptrdiff_t to_row, float factor) {
  for (int i = 0; i < 16; i += 8)
    for (int j = 0; j < 16; j += 8) {
      CK(f8) rows[8];
      for (int r = 0; r < 8; r++) __builtin_memcpy(&rows[r], from + (i + r) * row + j, 32);
      for (int r = 0; r < 8; r++) rows[r] *= factor;
      ROUND(1)
      ROUND(2)
      ROUND(4)
      for (int r = 0; r < 8; r++) __builtin_memcpy(to + (j + r) * to_row + i, &rows[r], 32);
    }
}

#undef ROUND
#undef LANES
#undef LANE_HIGH
#undef LANE_LOW

void CK(ck_to_panels)(ptrdiff_t size, ptrdiff_t inner, const float *x, ptrdiff_t row, ptrdiff_t column, float factor,
                      float *panels) {
  for (ptrdiff_t p = 0; p < inner; p += 16)  // all panels in turn: rows of x are read from one end to the other
    for (ptrdiff_t j = 0; j < size; j += 16) {
      const float *from = x + j * row + p * column;
      float *to = panels + j / 16 * ck_panel(inner) + p * 16;
      ptrdiff_t lanes = size - j < 16 ? size - j : 16, rows = inner - p < 16 ? inner - p : 16;
      if (column == 1 && lanes == 16 && rows == 16) {
        CK(transpose)(from, row, to, 16, factor);
      } else {
        for (ptrdiff_t q = 0; q < 16; q++)
          if (q >= rows)
            CK(store)(to + q * 16, 0);
          else if (row == 1)
            CK(store)(to + q * 16, factor * LOAD(from + q * column, lanes));
          else
            for (ptrdiff_t i = 0; i < 16; i++) to[q * 16 + i] = i < lanes ? factor * from[i * row + q * column] : 0;
      }
    }
}

void CK(ck_from_panels)(ptrdiff_t size, ptrdiff_t inner, const float *panels, float *x, ptrdiff_t row, ptrdiff_t column) {
  for (ptrdiff_t p = 0; p < inner; p += 16)
    for (ptrdiff_t j = 0; j < size; j += 16) {
      const float *from = panels + j / 16 * ck_panel(inner) + p * 16;
      float *to = x + j * row + p * column;
      ptrdiff_t lanes = size - j < 16 ? size - j : 16, rows = inner - p < 16 ? inner - p : 16;
      if (column == 1 && lanes == 16 && rows == 16) {
        CK(transpose)(from, 16, to, row, 1);
      } else {
        for (ptrdiff_t q = 0; q < rows; q++)
          if (row == 1)
            STORE(to + q * column, CK(load)(from + q * 16), lanes);
          else
            for (ptrdiff_t i = 0; i < lanes; i++) to[i * row + q * column] = from[q * 16 + i];
      }
    }
}
