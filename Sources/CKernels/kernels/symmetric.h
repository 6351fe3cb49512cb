// Products that are symmetric: the tiles on and above the diagonal are computed, written to all matrices that they are part of, and
// mirrored while they are in the cache. As Goto and van de Geijn 2008, doi:10.1145/1356052.1356053: panels of B as wide as a tile, blocks
// of A in panels as high as one, and tiles that stay in registers over a block of the inner side. Rows of A that lie one element after
// the other are read where they are, unless they alias (ck_symmetric_alias).

#define TILE (16 * CK_TILE_VECTORS)  // columns; as many registers as a level has leave room for 12 or 24 sums

// A tile of 16 rows and columns is transposed in registers: in round `bit` every pair of rows that differ in this bit of their number
// exchanges the lanes that differ in it.
#define LANE_LOW(bit, i) ((i) & (bit) ? 16 + (i) - (bit) : (i))
#define LANE_HIGH(bit, i) ((i) & (bit) ? 16 + (i) : (i) + (bit))
#define LANES(which, bit)                                                                                              \
  which(bit, 0), which(bit, 1), which(bit, 2), which(bit, 3), which(bit, 4), which(bit, 5), which(bit, 6), which(bit, 7),  \
      which(bit, 8), which(bit, 9), which(bit, 10), which(bit, 11), which(bit, 12), which(bit, 13), which(bit, 14),        \
      which(bit, 15)
#define ROUND(bit)                                                                                                     \
  for (int i = 0; i < 16; i++)                                                                                         \
    if (!(i & bit)) {                                                                                                  \
      f16 low = rows[i], high = rows[i + bit];                                                                         \
      rows[i] = __builtin_shufflevector(low, high, LANES(LANE_LOW, bit));                                              \
      rows[i + bit] = __builtin_shufflevector(low, high, LANES(LANE_HIGH, bit));                                       \
    }

INLINE void CK(turn)(f16 *rows) {
  ROUND(1)
  ROUND(2)
  ROUND(4)
  ROUND(8)
}

#undef ROUND
#undef LANES
#undef LANE_HIGH
#undef LANE_LOW

/// Up to `width` of the `left` rows side by side, one column after the other: element (i, p) at x + i·row + p·column. Missing rows are
/// zero.
INLINE void CK(pack_panel)(const float *x, ptrdiff_t row, ptrdiff_t column, ptrdiff_t left, ptrdiff_t k, int width,
                           float *out) {
  ptrdiff_t rows = left < width ? left : width;
  if (row == 1 && rows == width) {
    for (ptrdiff_t p = 0; p < k; p++) __builtin_memcpy(out + p * width, x + p * column, 4 * (size_t)width);
  } else if (column == 1 && rows == width && width % 16 == 0) {
    for (ptrdiff_t first = 0; first < width; first += 16) {
      ptrdiff_t p = 0;
      for (; p + 16 <= k; p += 16) {
        f16 lanes[16];
        for (int r = 0; r < 16; r++) lanes[r] = CK(load)(x + (first + r) * row + p);
        CK(turn)(lanes);
        for (int r = 0; r < 16; r++) CK(store)(out + (p + r) * width + first, lanes[r]);
      }
      for (; p < k; p++)
        for (int r = 0; r < 16; r++) out[p * width + first + r] = x[(first + r) * row + p];
    }
  } else {
    for (ptrdiff_t p = 0; p < k; p++)
      for (ptrdiff_t r = 0; r < width; r++) out[p * width + r] = r < rows ? x[r * row + p * column] : 0;
  }
}

/// sums = the product of as many rows of A, element (r, p) at a + r·row + p·column, and a panel of B.
INLINE void CK(product_tile)(const float *a, ptrdiff_t row, ptrdiff_t column, const float *b, ptrdiff_t k, float *sums) {
  f16 tile[CK_TILE_ROWS][CK_TILE_VECTORS];
  for (int r = 0; r < CK_TILE_ROWS; r++)
    for (int v = 0; v < CK_TILE_VECTORS; v++) tile[r][v] = 0;
  for (ptrdiff_t p = 0; p < k; p++, a += column, b += TILE) {
    f16 columns[CK_TILE_VECTORS];
#pragma unroll
    for (int v = 0; v < CK_TILE_VECTORS; v++) columns[v] = CK(load)(b + 16 * v);
#pragma unroll
    for (int r = 0; r < CK_TILE_ROWS; r++)
#pragma unroll
      for (int v = 0; v < CK_TILE_VECTORS; v++) tile[r][v] = CK(fma)((f16)a[r * row], columns[v], tile[r][v]);
  }
  for (int r = 0; r < CK_TILE_ROWS; r++)
    for (int v = 0; v < CK_TILE_VECTORS; v++) CK(store)(sums + r * TILE + 16 * v, tile[r][v]);
}

/// n lanes of every matrix that a product is written to, by the sum over the first block of the inner side or a later one. All terms are
/// read before anything is written, so that an output may be a term.
INLINE void CK(write_product)(f16 sum, ptrdiff_t place, ptrdiff_t n, int is_first, const struct ck_symmetric_result *to) {
  f16 terms[3];
  if (is_first)
    for (int t = 0; t < to->term_count; t++) terms[t] = LOAD(to->terms[t] + place, n);
  for (int o = 0; o < to->count; o++) {
    float *out = to->outputs[o].out + place;
    f16 value = to->outputs[o].lead * sum;
    if (is_first)
      for (int t = 0; t < to->term_count; t++) value = CK(fma)(terms[t], (f16)to->outputs[o].factors[t], value);
    else
      value += LOAD(out, n);
    STORE(out, value, n);
  }
}

/// The rows first ..< last of the columns left ..< right, as the rows left ..< right of the columns first ..< last, below the diagonal.
INLINE void CK(mirror_panel)(float *a, ptrdiff_t size, ptrdiff_t first, ptrdiff_t last, ptrdiff_t left, ptrdiff_t right) {
  for (ptrdiff_t column = left; column < right; column += 16)
    for (ptrdiff_t row = first; row < last && row < column + 16; row += 16) {
      if (row + 16 <= last && column + 16 <= right && row < column) {
        f16 rows[16];
        for (int r = 0; r < 16; r++) rows[r] = CK(load)(a + (row + r) * size + column);
        CK(turn)(rows);
        for (int r = 0; r < 16; r++) CK(store)(a + (column + r) * size + row, rows[r]);
      } else {
        for (ptrdiff_t i = row; i < last && i < row + 16; i++)
          for (ptrdiff_t j = i + 1 > column ? i + 1 : column; j < right && j < column + 16; j++) a[j * size + i] = a[i * size + j];
      }
    }
}

void CK(ck_symmetric_product)(ptrdiff_t size, ptrdiff_t inner, const float *a, ptrdiff_t a_row, ptrdiff_t a_column,
                              const float *b, ptrdiff_t b_row, ptrdiff_t b_column,
                              const struct ck_symmetric_result *wanted, float *work) {
  const struct ck_symmetric_result copy = *wanted, *result = &copy;  // which no store can change
  ptrdiff_t blocks = (inner + ck_symmetric_depth - 1) / ck_symmetric_depth, depth = blocks ? (inner + blocks - 1) / blocks : 1;
  int packs_a = a_column != 1 || a_row % ck_symmetric_alias == 0;
  float *panels_of_a = work, *panels_of_b = work + ck_symmetric_rows * ck_symmetric_depth, sums[CK_TILE_ROWS * TILE];
  for (ptrdiff_t p = 0; p < inner; p += depth) {
    ptrdiff_t k = inner - p < depth ? inner - p : depth;
    for (ptrdiff_t q = 0; q < k; q += 32)  // short stretches of all panels: rows of B are read from one end to the other
      for (ptrdiff_t j = 0; j < size; j += TILE)
        CK(pack_panel)(b + j * b_row + (p + q) * b_column, b_row, b_column, size - j, k - q < 32 ? k - q : 32, TILE,
                       panels_of_b + j * k + q * TILE);
    for (ptrdiff_t first = 0; first < size; first += ck_symmetric_rows) {
      ptrdiff_t last = first + ck_symmetric_rows < size ? first + ck_symmetric_rows : size;
      for (ptrdiff_t i = first; i < last; i += CK_TILE_ROWS)
        if (packs_a || last - i < CK_TILE_ROWS)
          CK(pack_panel)(a + i * a_row + p * a_column, a_row, a_column, last - i, k, CK_TILE_ROWS,
                         panels_of_a + (i - first) * k);
      for (ptrdiff_t j = first; j < size; j += TILE) {
        ptrdiff_t right = j + TILE < size ? j + TILE : size;
        for (ptrdiff_t i = first; i < last && i < right; i += CK_TILE_ROWS) {
          if (packs_a || last - i < CK_TILE_ROWS)
            CK(product_tile)(panels_of_a + (i - first) * k, 1, CK_TILE_ROWS, panels_of_b + j * k, k, sums);
          else
            CK(product_tile)(a + i * a_row + p, a_row, 1, panels_of_b + j * k, k, sums);
          for (ptrdiff_t r = 0; r < CK_TILE_ROWS && i + r < last; r++)
            for (ptrdiff_t c = j; c < right; c += 16)
              CK(write_product)(CK(load)(sums + r * TILE + c - j), (i + r) * size + c, right - c < 16 ? right - c : 16, p == 0,
                                result);
        }
        if (p + depth >= inner)
          for (int o = 0; o < result->count; o++) CK(mirror_panel)(result->outputs[o].out, size, first, last, j, right);
      }
    }
  }
  for (int o = 0; o < result->count; o++)
    if (result->outputs[o].diagonal != 0)
      for (ptrdiff_t i = 0; i < size; i++) result->outputs[o].out[i * (size + 1)] += result->outputs[o].diagonal;
}
#undef TILE
