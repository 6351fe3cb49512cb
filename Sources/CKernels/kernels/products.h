// Products of matrices in panels. As Goto and van de Geijn 2008, doi:10.1145/1356052.1356053, less the copies: operands lie as their
// panels would. Of a symmetric one the squares of 16 on and above the diagonal are computed, written to all matrices that they are part
// of, and mirrored while they are in the cache.

#define DEPTH 192  // rows of a panel at a time: those of both sides stay in the first cache
#define HEIGHT 96  // rows of a product at a time: what they are computed from stays in the second
#define SQUARE 256

// A tile is CK_TILE_ROWS rows of the left operand by CK_TILE_PANELS panels (1 or 2) of the right one, so that its sums leave registers for a
// row of the panels and an element: 12 of 16 with AVX2, 16 of 32 with AVX-512, 8 of 16 where there are four lanes in one.

/// The left operand of a tile: element (r, p) at start[r · row + p % 16 · step + p / 16 · block].
struct CK(left) {
  const float *start;
  ptrdiff_t row, step, block;
};

/// sums (+)= rows of the left operand, k elements each, times as many rows of panels of the right one, `panel` apart.
INLINE void CK(product_tile)(struct CK(left) left, const float *right, ptrdiff_t panel, ptrdiff_t k, int is_first, int rows,
                             int panels, float *sums, ptrdiff_t next) {
  f16 tile[CK_TILE_ROWS][CK_TILE_PANELS];
#pragma unroll
  for (int r = 0; r < rows; r++)
#pragma unroll
    for (int v = 0; v < panels; v++) tile[r][v] = is_first ? (f16)0 : CK(load)(sums + v * next + r * 16);
  for (; k > 0; k -= 16, left.start += left.block) {
    const float *a = left.start, *end = a + (k < 16 ? k : 16) * left.step;
    for (; a < end; a += left.step, right += 16) {
      f16 columns[CK_TILE_PANELS];
#pragma unroll
      for (int v = 0; v < panels; v++) columns[v] = CK(load)(right + v * panel);
#pragma unroll
      for (int r = 0; r < rows; r++)
#pragma unroll
        for (int v = 0; v < panels; v++) tile[r][v] = CK(fma)((f16)a[r * left.row], columns[v], tile[r][v]);
    }
  }
#pragma unroll
  for (int r = 0; r < rows; r++)
#pragma unroll
    for (int v = 0; v < panels; v++) CK(store)(sums + v * next + r * 16, tile[r][v]);
}

/// Sixteen rows, in tiles.
INLINE void CK(product_rows)(struct CK(left) left, const float *right, ptrdiff_t panel, ptrdiff_t k, int is_first, int panels,
                             float *sums, ptrdiff_t next) {
  enum { rest = 16 % CK_TILE_ROWS, whole = 16 - rest };
#pragma unroll 1
  for (int r = 0; r < whole; r += CK_TILE_ROWS, left.start += CK_TILE_ROWS * left.row)
    CK(product_tile)(left, right, panel, k, is_first, CK_TILE_ROWS, panels, sums + r * 16, next);
  if (rest > 0) CK(product_tile)(left, right, panel, k, is_first, rest, panels, sums + whole * 16, next);
}

/// A square for each of the panels, which are as many as a tile's or a single one; squares are `next` apart.
INLINE void CK(product_squares)(struct CK(left) left, const float *right, ptrdiff_t panel, ptrdiff_t k, int is_first,
                                ptrdiff_t panels, float *sums, ptrdiff_t next) {
  if (CK_TILE_PANELS == 1 || panels > 1)
    CK(product_rows)(left, right, panel, k, is_first, CK_TILE_PANELS, sums, next);
  else
    CK(product_rows)(left, right, panel, k, is_first, 1, sums, next);
}

/// Panels of a tile that begins at column j of `size`.
INLINE ptrdiff_t CK(panels)(ptrdiff_t size, ptrdiff_t j) {
  ptrdiff_t left = (size - j + 15) / 16;
  return left < CK_TILE_PANELS ? left : CK_TILE_PANELS;
}

/// A part of the inner side: the parts are as long as each other but for the last, which begin where a panel's rows of 16 do.
INLINE ptrdiff_t CK(depth)(ptrdiff_t inner) {
  ptrdiff_t parts = (inner + DEPTH - 1) / DEPTH;
  return ((inner + parts - 1) / parts + 15) / 16 * 16;
}

void CK(ck_panel_product)(ptrdiff_t size, ptrdiff_t inner, const float *p, const float *x, float *out) {
  ptrdiff_t panel = ck_panel(inner), right_panel = ck_panel(size), depth = CK(depth)(size);
  for (ptrdiff_t first = 0; first < inner; first += HEIGHT)
    for (ptrdiff_t j = 0; j < size; j += 16 * CK_TILE_PANELS)
      for (ptrdiff_t q = 0; q < size; q += depth)
        for (ptrdiff_t i = first; i < inner && i < first + HEIGHT; i += 16) {
          struct CK(left) left = {x + q / 16 * panel + i * 16, 16, 1, panel};
          const float *right = p + j / 16 * right_panel + q * 16;
          CK(product_squares)(left, right, right_panel, size - q < depth ? size - q : depth, q == 0, CK(panels)(size, j),
                              out + j / 16 * panel + i * 16, panel);
        }
}

/// The square at (i, j) of every matrix that a product is part of. Terms are read, row by row, before anything is written there, so that an
/// output may be a term.
INLINE void CK(write_square)(const float *sums, ptrdiff_t i, ptrdiff_t j, ptrdiff_t panel,
                             const struct ck_symmetric_result *to, int term_count) {
  ptrdiff_t place = j / 16 * panel + i * 16, mirrored = i / 16 * panel + j * 16;
  for (int r = 0; r < 16; r++) {
    f16 sum = CK(load)(sums + r * 16), terms[3];
#pragma unroll
    for (int t = 0; t < term_count; t++) terms[t] = CK(load)(to->terms[t] + place + r * 16);
    for (int o = 0; o < to->count; o++) {
      f16 value = to->outputs[o].lead * sum;
#pragma unroll
      for (int t = 0; t < term_count; t++) value = CK(fma)(terms[t], (f16)to->outputs[o].factors[t], value);
      CK(store)(to->outputs[o].out + place + r * 16, value);
    }
  }
  for (int o = 0; o < to->count; o++) {
    float *out = to->outputs[o].out + place;
    if (i == j) {
      for (int r = 0; r < 16; r++) {
        out[r * 17] += to->outputs[o].diagonal;
        for (int c = r + 1; c < 16; c++) out[c * 16 + r] = out[r * 16 + c];
      }
    } else if (!to->outputs[o].is_half) {
      CK(transpose)(out, 16, to->outputs[o].out + mirrored, 16, 1);
    }
  }
}

static void CK(write_squares)(const float *sums, ptrdiff_t i, ptrdiff_t j, ptrdiff_t panel,
                              const struct ck_symmetric_result *to) {
  switch (to->term_count) {  // counts that the compiler knows
    case 0: CK(write_square)(sums, i, j, panel, to, 0); break;
    case 1: CK(write_square)(sums, i, j, panel, to, 1); break;
    case 2: CK(write_square)(sums, i, j, panel, to, 2); break;
    default: CK(write_square)(sums, i, j, panel, to, 3);
  }
}

void CK(ck_symmetric_product)(ptrdiff_t size, ptrdiff_t inner, const float *a, const float *b,
                              const struct ck_symmetric_result *wanted) {
  const struct ck_symmetric_result copy = *wanted, *result = &copy;  // which no store can change
  ptrdiff_t panel = ck_panel(inner), result_panel = ck_panel(size), depth = CK(depth)(inner);
  float sums[HEIGHT / 16 * CK_TILE_PANELS * SQUARE];
  for (ptrdiff_t first = 0; first < size; first += HEIGHT)
    for (ptrdiff_t j = first; j < size; j += 16 * CK_TILE_PANELS) {
      ptrdiff_t panels = CK(panels)(size, j), end = j + 16 * panels < first + HEIGHT ? j + 16 * panels : first + HEIGHT;
      for (ptrdiff_t p = 0; p < inner; p += depth)
        for (ptrdiff_t i = first; i < end; i += 16) {
          ptrdiff_t below = i > j ? (i - j) / 16 : 0;  // panels of the tile that lie below the diagonal here
          struct CK(left) left = {a + i / 16 * panel + p * 16, 1, 16, SQUARE};
          const float *right = b + (j / 16 + below) * panel + p * 16;
          CK(product_squares)(left, right, panel, inner - p < depth ? inner - p : depth, p == 0, panels - below,
                              sums + ((i - first) / 16 * CK_TILE_PANELS + below) * SQUARE, SQUARE);
        }
      for (ptrdiff_t v = 0; v < panels; v++)
        for (ptrdiff_t i = first; i < end && i <= j + 16 * v; i += 16)
          CK(write_squares)(sums + ((i - first) / 16 * CK_TILE_PANELS + v) * SQUARE, i, j + 16 * v, result_panel, result);
    }
}

#undef DEPTH
#undef HEIGHT
#undef SQUARE
