/// Espalier's kernels: plain C, compiled once per processor level, chosen at start.
///
/// Arrays are dense and row-major unless a leading dimension is named; counts are in elements. `beta` is 0 (the destination is
/// not read) or 1 (the result is added to it). Sums run in a fixed order over a fixed number of lanes, so a kernel gives the same
/// bits for the same shape, whoever calls it; the levels x86-64-v3 and x86-64-v4 give the same bits as each other.
#ifndef CKERNELS_H
#define CKERNELS_H
#include <stddef.h>
#include <stdint.h>

// Elementwise

/// out[i] = a[i] + b[i]; out may be a or b.
void ck_add(const float *a, const float *b, float *out, ptrdiff_t count);
/// out[i] = beta · out[i] + factor · x[i]; out may be x.
void ck_scale(const float *x, float factor, float beta, float *out, ptrdiff_t count);
/// out[i] = e^x[i]; at most 2 ulp off; gradual underflow, ∞ and NaN as in C.
void ck_exp(const float *x, float *out, ptrdiff_t count);
/// out[i] = tanh x[i]; at most 3 ulp off.
void ck_tanh(const float *x, float *out, ptrdiff_t count);
/// out[i] = erf x[i]; at most 3 ulp off.
void ck_erf(const float *x, float *out, ptrdiff_t count);

// Activations (x → out; backward: dx = beta · dx + dy · f'(x))

/// out = x/2 · (1 + tanh(√(2/π)(x + 0.044715 x³))).
void ck_gelu_tanh(const float *x, float *out, ptrdiff_t count);
void ck_gelu_tanh_backward(const float *x, const float *dy, float beta, float *dx, ptrdiff_t count);
/// out = x/2 · (1 + erf(x/√2)).
void ck_gelu_erf(const float *x, float *out, ptrdiff_t count);
void ck_gelu_erf_backward(const float *x, const float *dy, float beta, float *dx, ptrdiff_t count);
/// out = x / (1 + e^-x).
void ck_silu(const float *x, float *out, ptrdiff_t count);
void ck_silu_backward(const float *x, const float *dy, float beta, float *dx, ptrdiff_t count);
/// max(x, 0); the derivative at 0 is 0.
void ck_relu(const float *x, float *out, ptrdiff_t count);
void ck_relu_backward(const float *x, const float *dy, float beta, float *dx, ptrdiff_t count);
/// x [rows, 2·hidden] = gate | up; out [rows, hidden] = silu(gate) · up.
void ck_swiglu(const float *x, ptrdiff_t rows, ptrdiff_t hidden, float *out);
void ck_swiglu_backward(const float *x, const float *dy, ptrdiff_t rows, ptrdiff_t hidden, float beta, float *dx);

// Normalization over rows of `columns` elements

/// out = x · inverse · gain, inverse[row] = 1/√(mean x² + epsilon).
void ck_rms_norm(const float *x, const float *gain, float epsilon, ptrdiff_t rows, ptrdiff_t columns, float *out,
                 float *inverse);
/// dx (may be null) and gain_sums[column] = Σ over rows of dy · x · inverse, in double (may be null).
void ck_rms_norm_backward(const float *x, const float *gain, const float *inverse, const float *dy, ptrdiff_t rows,
                          ptrdiff_t columns, float beta, float *dx, double *gain_sums);
/// out = (x - mean) · inverse · gain + bias (bias may be null).
void ck_layer_norm(const float *x, const float *gain, const float *bias, float epsilon, ptrdiff_t rows, ptrdiff_t columns,
                   float *out, float *mean, float *inverse);
/// As for ck_rms_norm_backward, with bias_sums[column] = Σ dy (may be null).
void ck_layer_norm_backward(const float *x, const float *gain, const float *mean, const float *inverse, const float *dy,
                            ptrdiff_t rows, ptrdiff_t columns, float beta, float *dx, double *gain_sums,
                            double *bias_sums);
/// sums[column] = Σ over rows of x, in row order, in double.
void ck_column_sums(const float *x, ptrdiff_t rows, ptrdiff_t columns, double *sums);
/// out[i] = beta · out[i] + sums[i].
void ck_store_sums(const double *sums, ptrdiff_t count, float beta, float *out);

// Images [samples, channels, height, width]

/// The patches of a convolution: kernel · kernel elements of every channel, `stride` apart, in an image with a border of zeros.
struct ck_patch_shape {
  ptrdiff_t samples, channels, height, width, kernel, stride, padding, out_height, out_width;
};
/// out [channels · kernel · kernel, samples · out_height · out_width] = the elements of x [samples, channels, height, width] under
/// each place of the kernel, 0 outside of the image.
void ck_patches(const float *x, struct ck_patch_shape shape, float *out);
/// The transpose: dx = beta · dx + every patch added where it was taken, in the order of the patches' rows; what met no image may be
/// overwritten in `patches`.
void ck_patches_backward(float *patches, struct ck_patch_shape shape, float beta, float *dx);
/// out[j, i] = x[i, j] for i < first, j < second, planes of `width` elements.
void ck_swap_planes(const float *x, ptrdiff_t first, ptrdiff_t second, ptrdiff_t width, float *out);
/// Mean and (biased) variance of each channel of x [samples, channels, area] over samples and area.
void ck_channel_statistics(const float *x, ptrdiff_t samples, ptrdiff_t channels, ptrdiff_t area, float *mean,
                           float *variance);
/// out = (x - mean) · inverse · gain + bias, each by channel.
void ck_channel_norm(const float *x, const float *mean, const float *inverse, const float *gain, const float *bias,
                     ptrdiff_t samples, ptrdiff_t channels, ptrdiff_t area, float *out);
/// gain_sums[channel] = Σ dy · (x - mean) · inverse, bias_sums[channel] = Σ dy.
void ck_channel_norm_sums(const float *x, const float *mean, const float *inverse, const float *dy, ptrdiff_t samples,
                          ptrdiff_t channels, ptrdiff_t area, double *gain_sums, double *bias_sums);
/// dx = beta · dx + gain · inverse · (dy - bias_sums/count - (x - mean) · inverse · gain_sums/count), count = samples · area; without
/// sums (null) for mean and variance that do not depend on x.
void ck_channel_norm_backward(const float *x, const float *mean, const float *inverse, const float *gain,
                              const float *dy, const double *gain_sums, const double *bias_sums, ptrdiff_t samples,
                              ptrdiff_t channels, ptrdiff_t area, float beta, float *dx);
/// out[plane] = mean of x [planes, area].
void ck_plane_means(const float *x, ptrdiff_t planes, ptrdiff_t area, float *out);
/// dx = beta · dx + dy[plane] / area.
void ck_plane_means_backward(const float *dy, ptrdiff_t planes, ptrdiff_t area, float beta, float *dx);
/// Windows of size · size elements of each plane, `stride` apart; the padding is never the largest.
struct ck_pool_shape {
  ptrdiff_t planes, height, width, size, stride, padding, out_height, out_width;
};
/// The largest element of each window.
void ck_max_pool(const float *x, struct ck_pool_shape shape, float *out);
/// dx = beta · dx + dy at the first largest element of each window.
void ck_max_pool_backward(const float *x, const float *dy, struct ck_pool_shape shape, float beta, float *dx);

// Attention (the products are BLAS calls; see Attention.swift)

/// Rotates the pairs (i, i + width/2) of `heads` heads in each row and copies the rest of the row.
/// table [time, width] = cos of width/2 angles | sin of width/2 angles; direction is 1 or -1 (the inverse rotation).
void ck_rotary(const float *x, const float *table, ptrdiff_t batch, ptrdiff_t time, ptrdiff_t heads, ptrdiff_t width,
               ptrdiff_t row_width, float direction, float beta, float *out);
/// Turns a panel of logits [rows, keys] (leading dimension ld) into e^(scale·(logit - max of the row)), 0 past `first + row` if
/// causal; inverse[row] = 1/Σ, log_sum_exp[row] = scale · max + log Σ. *largest_logit, unless null, grows to the largest scale · max.
void ck_attention_softmax(float *panel, ptrdiff_t rows, ptrdiff_t keys, ptrdiff_t ld, int causal, ptrdiff_t first,
                          float scale, float *log_sum_exp, float *inverse, float *largest_logit);
/// x[row, 0 ..< width] *= factors[row], leading dimension ld.
void ck_scale_rows(float *x, const float *factors, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t ld);
/// dots[row] = Σ a[row, i] · b[row, i], one leading dimension for both.
void ck_row_dots(const float *a, const float *b, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t ld, float *dots);
/// panel: logits → probabilities e^(scale·logit - log_sum_exp[row]); gradient: gradient of the probabilities → gradient of the
/// logits, p · (gradient - delta[row]) · scale. 0 past `first + row` if causal.
void ck_attention_backward(float *panel, float *gradient, ptrdiff_t rows, ptrdiff_t keys, ptrdiff_t ld, int causal,
                           ptrdiff_t first, float scale, const float *log_sum_exp, const float *delta);

// Rows by index

/// out[i] = table[indices[i]], rows of `width`.
void ck_gather_rows(const float *table, const int32_t *indices, ptrdiff_t count, ptrdiff_t width, float *out);
/// table[indices[i]] += x[i] for i in rising order.
void ck_scatter_add_rows(const float *x, const int32_t *indices, ptrdiff_t count, ptrdiff_t width, float *table);

/// Softmax cross-entropy: returns Σ over counted rows of log Σe^logit - logit[target] in double; adds to *correct the counted
/// rows whose target is the first largest logit; gradient (may be null) = (softmax - one-hot) · scale, 0 in ignored rows.
double ck_cross_entropy(const float *logits, const int32_t *targets, int32_t ignored, ptrdiff_t rows, ptrdiff_t classes,
                        float scale, float *gradient, int64_t *correct);

/// out[i] = beta · out[i] + (bits(state, i) ≥ threshold ? x[i] · factor : 0), bits as in RandomKey.
void ck_dropout(const float *x, uint64_t state, uint64_t threshold, float factor, float beta, float *out,
                ptrdiff_t count);

// Optimizers

/// Loshchilov, Hutter: Decoupled weight decay regularization, ICLR 2019, arXiv:1711.05101. With g = gradient · gradient_scale:
/// m = beta1·m + (1-beta1)·g; v = beta2·v + (1-beta2)·g²; value = value·(1 - rate·decay) - rate · (m/correction1) /
/// (√(v/correction2) + epsilon). correctionN = 1 - betaN^step.
void ck_adamw(float *value, const float *gradient, float *m, float *v, ptrdiff_t count, double rate, double beta1,
              double beta2, double epsilon, double decay, double correction1, double correction2, double gradient_scale);
/// With g = gradient · gradient_scale: buffer = momentum·buffer + g; step = nesterov ? g + momentum·buffer : buffer;
/// value = value·(1 - rate·decay) - rate·step. Without a buffer (null) step = g.
void ck_sgd(float *value, const float *gradient, float *buffer, ptrdiff_t count, double rate, double momentum,
            int nesterov, double decay, double gradient_scale);
/// With g = gradient · gradient_scale: buffer = keep·buffer + share·g; direction = nesterov ? keep·buffer + share·g : buffer.
void ck_momentum(const float *gradient, float *buffer, float *direction, ptrdiff_t count, double keep, double share,
                 int nesterov, double gradient_scale);

// Matrices in panels
//
// [size, inner], 16 rows side by side: the element (i, p) is at i/16 · ck_panel(inner) + 16·p + i % 16. Both sides are filled with zeros up
// to a multiple of 16. A symmetric matrix has its columns in panels as well.

/// Floats of one panel.
static inline ptrdiff_t ck_panel(ptrdiff_t inner) { return (inner + 15) / 16 * 256; }
/// factor · x, element (i, p) at x[i · row + p · column], one of the two 1, in panels.
void ck_to_panels(ptrdiff_t size, ptrdiff_t inner, const float *x, ptrdiff_t row, ptrdiff_t column, float factor,
                  float *panels);
/// The way back.
void ck_from_panels(ptrdiff_t size, ptrdiff_t inner, const float *panels, float *x, ptrdiff_t row, ptrdiff_t column);
/// out [size, inner] = p · x of a symmetric p [size, size] and x [size, inner], all in panels.
void ck_panel_product(ptrdiff_t size, ptrdiff_t inner, const float *p, const float *x, float *out);

/// out = lead · product + Σ factors[t] · terms[t] + diagonal · I, in panels. With is_half what lies below the diagonal is not written,
/// except in the squares of 16 across it: enough for a matrix that is a term and nothing else.
struct ck_symmetric_output {
  float *out;
  float lead, factors[3], diagonal;
  int is_half;
};
/// Where a product goes: up to three matrices, of up to three terms that are added.
struct ck_symmetric_result {
  const float *terms[3];
  struct ck_symmetric_output outputs[3];
  int term_count, count;
};
/// The product of a [size, inner] and the transposed b [size, inner], both in panels, inner > 0, where it is symmetric: half of it is
/// computed. An output may be a term, but neither a nor b.
void ck_symmetric_product(ptrdiff_t size, ptrdiff_t inner, const float *a, const float *b,
                          const struct ck_symmetric_result *result);

// Sums and checks

/// Σ x², in double over 16 lanes; the same bits on every level.
double ck_sum_of_squares(const float *x, ptrdiff_t count);
/// 1 if no element is ∞ or NaN, else 0.
int ck_is_finite(const float *x, ptrdiff_t count);
/// Adds to *low and *high the digest of `count` elements of which the first has the logical index `first_index`:
/// low += Σ S(S(h + i) ⊕ bits), high += Σ S(S(¬h + i) ⊕ bits) mod 2⁶⁴, S = SplitMix64's finaliser.
void ck_digest(uint64_t h, uint64_t first_index, const uint32_t *bits, ptrdiff_t count, uint64_t *low, uint64_t *high);

// Byte planes: dst holds byte 0 of every element, then byte 1, … (little-endian). With `rotate`, elements are first rotated left
// by one bit, which brings the sign below the mantissa and the exponent onto a byte. element_size is 1, 2, 4 or 8.

void ck_planes_split(const void *src, void *dst, ptrdiff_t element_count, int element_size, int rotate);
void ck_planes_join(const void *src, void *dst, ptrdiff_t element_count, int element_size, int rotate);

// Levels

/// The level in use: "default", "x86-64-v3" or "x86-64-v4".
const char *ck_level(void);
/// Null, or why the level asked for by the environment variable ESPALIER_KERNELS is not in use.
const char *ck_level_error(void);

/// The level that a value of ESPALIER_KERNELS chooses here: the best one if it is null or empty. *reason is null, or why the
/// level that it names cannot be used; the answer is "default" then.
const char *ck_level_for(const char *wanted, const char **reason);

/// One pointer for each kernel above, under its name without `ck_`.
#define CK_KERNELS(X)                                                                                                  \
  X(add) X(scale) X(exp) X(tanh) X(erf)                                                                                \
  X(gelu_tanh) X(gelu_tanh_backward) X(gelu_erf) X(gelu_erf_backward) X(silu) X(silu_backward)                         \
  X(relu) X(relu_backward) X(swiglu) X(swiglu_backward)                                                                \
  X(rms_norm) X(rms_norm_backward) X(layer_norm) X(layer_norm_backward) X(column_sums) X(store_sums)                   \
  X(patches) X(patches_backward) X(swap_planes) X(channel_statistics) X(channel_norm) X(channel_norm_sums)             \
  X(channel_norm_backward) X(plane_means) X(plane_means_backward) X(max_pool) X(max_pool_backward)                     \
  X(rotary) X(attention_softmax) X(scale_rows) X(row_dots) X(attention_backward)                                       \
  X(gather_rows) X(scatter_add_rows) X(cross_entropy) X(dropout)                                                       \
  X(adamw) X(sgd) X(momentum) X(to_panels) X(from_panels) X(panel_product) X(symmetric_product)                        \
  X(sum_of_squares) X(is_finite) X(digest) X(planes_split) X(planes_join)

struct ck_table {
#define CK_FIELD(name) __typeof__(ck_##name) *name;
  CK_KERNELS(CK_FIELD)
#undef CK_FIELD
};

/// The kernels of one level; null if this processor lacks it. For tests that compare levels.
const struct ck_table *ck_table_of(const char *level);

// Work

/// Adds floating-point operations of a matrix product to the calling thread's count.
void ck_note_operations(int64_t count);
/// The calling thread's count since it began.
int64_t ck_noted_operations(void);

#endif
