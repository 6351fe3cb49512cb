/// Chooses one table of kernels before main runs, and forwards every call to it.
#include <stdlib.h>
#include <string.h>
#include "CKernels.h"

extern const struct ck_table ck_table_at_base;
#if defined(__x86_64__)
extern const struct ck_table ck_table_at_v3, ck_table_at_v4;
#endif

static const struct ck_table *chosen = &ck_table_at_base;
static const char *level = "default";
static const char *error;

const struct ck_table *ck_table_of(const char *name) {
  if (strcmp(name, "default") == 0) return &ck_table_at_base;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (strcmp(name, "x86-64-v3") == 0 && __builtin_cpu_supports("x86-64-v3")) return &ck_table_at_v3;
  if (strcmp(name, "x86-64-v4") == 0 && __builtin_cpu_supports("x86-64-v4")) return &ck_table_at_v4;
#endif
  return NULL;
}

const char *ck_level_for(const char *wanted, const char **reason) {
  static const char *const names[] = {"x86-64-v4", "x86-64-v3", "default"};
  int known = 0;
  *reason = NULL;
  for (int i = 0; i < 3; i++) {
    if (wanted && *wanted && strcmp(wanted, names[i]) != 0) continue;
    known = 1;
    if (ck_table_of(names[i])) return names[i];
  }
  *reason = known ? "this processor lacks that level" : "there is no such level";
  return "default";
}

__attribute__((constructor)) static void choose(void) {
  level = ck_level_for(getenv("ESPALIER_KERNELS"), &error);
  chosen = ck_table_of(level);
}

const char *ck_level(void) { return level; }
const char *ck_level_error(void) { return error; }

void ck_add(const float *a, const float *b, float *out, ptrdiff_t count) { chosen->add(a, b, out, count); }
void ck_scale(const float *x, float factor, float beta, float *out, ptrdiff_t count) {
  chosen->scale(x, factor, beta, out, count);
}
void ck_exp(const float *x, float *out, ptrdiff_t count) { chosen->exp(x, out, count); }
void ck_tanh(const float *x, float *out, ptrdiff_t count) { chosen->tanh(x, out, count); }
void ck_erf(const float *x, float *out, ptrdiff_t count) { chosen->erf(x, out, count); }
void ck_gelu_tanh(const float *x, float *out, ptrdiff_t count) { chosen->gelu_tanh(x, out, count); }
void ck_gelu_tanh_backward(const float *x, const float *dy, float beta, float *dx, ptrdiff_t count) {
  chosen->gelu_tanh_backward(x, dy, beta, dx, count);
}
void ck_gelu_erf(const float *x, float *out, ptrdiff_t count) { chosen->gelu_erf(x, out, count); }
void ck_gelu_erf_backward(const float *x, const float *dy, float beta, float *dx, ptrdiff_t count) {
  chosen->gelu_erf_backward(x, dy, beta, dx, count);
}
void ck_silu(const float *x, float *out, ptrdiff_t count) { chosen->silu(x, out, count); }
void ck_relu(const float *x, float *out, ptrdiff_t count) { chosen->relu(x, out, count); }
void ck_relu_backward(const float *x, const float *dy, float beta, float *dx, ptrdiff_t count) {
  chosen->relu_backward(x, dy, beta, dx, count);
}
void ck_silu_backward(const float *x, const float *dy, float beta, float *dx, ptrdiff_t count) {
  chosen->silu_backward(x, dy, beta, dx, count);
}
void ck_swiglu(const float *x, ptrdiff_t rows, ptrdiff_t hidden, float *out) { chosen->swiglu(x, rows, hidden, out); }
void ck_swiglu_backward(const float *x, const float *dy, ptrdiff_t rows, ptrdiff_t hidden, float beta, float *dx) {
  chosen->swiglu_backward(x, dy, rows, hidden, beta, dx);
}
void ck_rms_norm(const float *x, const float *gain, float epsilon, ptrdiff_t rows, ptrdiff_t columns, float *out, float
                 *inverse) {
  chosen->rms_norm(x, gain, epsilon, rows, columns, out, inverse);
}
void ck_rms_norm_backward(const float *x, const float *gain, const float *inverse, const float *dy, ptrdiff_t rows,
                          ptrdiff_t columns, float beta, float *dx, double *gain_sums) {
  chosen->rms_norm_backward(x, gain, inverse, dy, rows, columns, beta, dx, gain_sums);
}
void ck_layer_norm(const float *x, const float *gain, const float *bias, float epsilon, ptrdiff_t rows, ptrdiff_t
                   columns, float *out, float *mean, float *inverse) {
  chosen->layer_norm(x, gain, bias, epsilon, rows, columns, out, mean, inverse);
}
void ck_layer_norm_backward(const float *x, const float *gain, const float *mean, const float *inverse, const float *dy,
                            ptrdiff_t rows, ptrdiff_t columns, float beta, float *dx, double *gain_sums, double
                            *bias_sums) {
  chosen->layer_norm_backward(x, gain, mean, inverse, dy, rows, columns, beta, dx, gain_sums, bias_sums);
}
void ck_column_sums(const float *x, ptrdiff_t rows, ptrdiff_t columns, double *sums) {
  chosen->column_sums(x, rows, columns, sums);
}
void ck_store_sums(const double *sums, ptrdiff_t count, float beta, float *out) {
  chosen->store_sums(sums, count, beta, out);
}
void ck_patches(const float *x, struct ck_patch_shape shape, float *out) { chosen->patches(x, shape, out); }
void ck_patches_backward(float *patches, struct ck_patch_shape shape, float beta, float *dx) {
  chosen->patches_backward(patches, shape, beta, dx);
}
void ck_swap_planes(const float *x, ptrdiff_t first, ptrdiff_t second, ptrdiff_t width, float *out) {
  chosen->swap_planes(x, first, second, width, out);
}
void ck_channel_statistics(const float *x, ptrdiff_t samples, ptrdiff_t channels, ptrdiff_t area, float *mean, float
                           *variance) {
  chosen->channel_statistics(x, samples, channels, area, mean, variance);
}
void ck_channel_norm(const float *x, const float *mean, const float *inverse, const float *gain, const float *bias,
                     ptrdiff_t samples, ptrdiff_t channels, ptrdiff_t area, float *out) {
  chosen->channel_norm(x, mean, inverse, gain, bias, samples, channels, area, out);
}
void ck_channel_norm_sums(const float *x, const float *mean, const float *inverse, const float *dy, ptrdiff_t samples,
                          ptrdiff_t channels, ptrdiff_t area, double *gain_sums, double *bias_sums) {
  chosen->channel_norm_sums(x, mean, inverse, dy, samples, channels, area, gain_sums, bias_sums);
}
void ck_channel_norm_backward(const float *x, const float *mean, const float *inverse, const float *gain, const float
                              *dy, const double *gain_sums, const double *bias_sums, ptrdiff_t samples, ptrdiff_t
                              channels, ptrdiff_t area, float beta, float *dx) {
  chosen->channel_norm_backward(x, mean, inverse, gain, dy, gain_sums, bias_sums, samples, channels, area, beta, dx);
}
void ck_plane_means(const float *x, ptrdiff_t planes, ptrdiff_t area, float *out) {
  chosen->plane_means(x, planes, area, out);
}
void ck_plane_means_backward(const float *dy, ptrdiff_t planes, ptrdiff_t area, float beta, float *dx) {
  chosen->plane_means_backward(dy, planes, area, beta, dx);
}
void ck_max_pool(const float *x, struct ck_pool_shape shape, float *out) { chosen->max_pool(x, shape, out); }
void ck_max_pool_backward(const float *x, const float *dy, struct ck_pool_shape shape, float beta, float *dx) {
  chosen->max_pool_backward(x, dy, shape, beta, dx);
}
void ck_rotary(const float *x, const float *table, ptrdiff_t batch, ptrdiff_t time, ptrdiff_t heads, ptrdiff_t width,
               ptrdiff_t row_width, float direction, float beta, float *out) {
  chosen->rotary(x, table, batch, time, heads, width, row_width, direction, beta, out);
}
void ck_attention_softmax(float *panel, ptrdiff_t rows, ptrdiff_t keys, ptrdiff_t ld, int causal, ptrdiff_t first, float
                          scale, float *log_sum_exp, float *inverse, float *largest_logit) {
  chosen->attention_softmax(panel, rows, keys, ld, causal, first, scale, log_sum_exp, inverse, largest_logit);
}
void ck_scale_rows(float *x, const float *factors, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t ld) {
  chosen->scale_rows(x, factors, rows, width, ld);
}
void ck_row_dots(const float *a, const float *b, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t ld, float *dots) {
  chosen->row_dots(a, b, rows, width, ld, dots);
}
void ck_attention_backward(float *panel, float *gradient, ptrdiff_t rows, ptrdiff_t keys, ptrdiff_t ld, int causal,
                           ptrdiff_t first, float scale, const float *log_sum_exp, const float *delta) {
  chosen->attention_backward(panel, gradient, rows, keys, ld, causal, first, scale, log_sum_exp, delta);
}
void ck_gather_rows(const float *table, const int32_t *indices, ptrdiff_t count, ptrdiff_t width, float *out) {
  chosen->gather_rows(table, indices, count, width, out);
}
void ck_scatter_add_rows(const float *x, const int32_t *indices, ptrdiff_t count, ptrdiff_t width, float *table) {
  chosen->scatter_add_rows(x, indices, count, width, table);
}
double ck_cross_entropy(const float *logits, const int32_t *targets, int32_t ignored, ptrdiff_t rows, ptrdiff_t classes,
                        float scale, float *gradient, int64_t *correct) {
  return chosen->cross_entropy(logits, targets, ignored, rows, classes, scale, gradient, correct);
}
void ck_dropout(const float *x, uint64_t state, uint64_t threshold, float factor, float beta, float *out, ptrdiff_t
                count) {
  chosen->dropout(x, state, threshold, factor, beta, out, count);
}
void ck_adamw(float *value, const float *gradient, float *m, float *v, ptrdiff_t count, double rate, double beta1,
              double beta2, double epsilon, double decay, double correction1, double correction2, double gradient_scale)
              {
  chosen->adamw(value, gradient, m, v, count, rate, beta1, beta2, epsilon, decay, correction1, correction2, gradient_scale);
}
void ck_sgd(float *value, const float *gradient, float *buffer, ptrdiff_t count, double rate, double momentum, int
            nesterov, double decay, double gradient_scale) {
  chosen->sgd(value, gradient, buffer, count, rate, momentum, nesterov, decay, gradient_scale);
}
void ck_momentum(const float *gradient, float *buffer, float *direction, ptrdiff_t count, double keep, double share, int
                 nesterov, double gradient_scale) {
  chosen->momentum(gradient, buffer, direction, count, keep, share, nesterov, gradient_scale);
}
void ck_to_panels(ptrdiff_t size, ptrdiff_t inner, const float *x, ptrdiff_t row, ptrdiff_t column, float factor,
                  float *panels) {
  chosen->to_panels(size, inner, x, row, column, factor, panels);
}
void ck_from_panels(ptrdiff_t size, ptrdiff_t inner, const float *panels, float *x, ptrdiff_t row, ptrdiff_t column) {
  chosen->from_panels(size, inner, panels, x, row, column);
}
void ck_panel_product(ptrdiff_t size, ptrdiff_t inner, const float *p, const float *x, float *out) {
  chosen->panel_product(size, inner, p, x, out);
}
void ck_symmetric_product(ptrdiff_t size, ptrdiff_t inner, const float *a, const float *b,
                          const struct ck_symmetric_result *result) {
  chosen->symmetric_product(size, inner, a, b, result);
}
double ck_sum_of_squares(const float *x, ptrdiff_t count) { return chosen->sum_of_squares(x, count); }
int ck_is_finite(const float *x, ptrdiff_t count) { return chosen->is_finite(x, count); }
void ck_digest(uint64_t h, uint64_t first_index, const uint32_t *bits, ptrdiff_t count, uint64_t *low, uint64_t *high) {
  chosen->digest(h, first_index, bits, count, low, high);
}
void ck_planes_split(const void *src, void *dst, ptrdiff_t element_count, int element_size, int rotate) {
  chosen->planes_split(src, dst, element_count, element_size, rotate);
}
void ck_planes_join(const void *src, void *dst, ptrdiff_t element_count, int element_size, int rotate) {
  chosen->planes_join(src, dst, element_count, element_size, rotate);
}
