// OpenBLAS chooses its matrix kernels by a list of processors. One that is newer than the list gets those of Prescott, of 2004, which
// take three times as long or more. This puts it right before anything is computed; docs/decisions/0017 has the figures.

#if defined(__x86_64__)
#include <stdlib.h>
#include <string.h>

// Weak: another BLAS, or a build for one processor, has none of them and is left alone.
__attribute__((weak)) extern char *openblas_get_corename(void);
__attribute__((weak)) extern void gotoblas_dynamic_quit(void);
__attribute__((weak)) extern void gotoblas_dynamic_init(void);

extern char **environ;

// As an environment names it, the best of the kernels that every build of the last ten years carries; null where the old ones are right.
static char *better_core(void) {
  static char wide[] = "OPENBLAS_CORETYPE=SkylakeX", narrow[] = "OPENBLAS_CORETYPE=Haswell";
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
    return wide;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? narrow : NULL;
}

// Libraries that a program needs are initialised before it, so OpenBLAS has chosen by now.
__attribute__((constructor)) static void choose_matrix_core(void) {
  if (!openblas_get_corename || !gotoblas_dynamic_quit || !gotoblas_dynamic_init) return;
  char *better = better_core();
  if (!better || getenv("OPENBLAS_CORETYPE") || strcmp(openblas_get_corename(), "Prescott") != 0) return;
  // Another environment for one call: setenv would move this one, by whose place Swift finds the arguments of the program, and a
  // program that this one starts, on another node perhaps, is to choose for itself.
  char *one[] = {better, NULL}, **all = environ;
  environ = one;
  gotoblas_dynamic_quit();
  gotoblas_dynamic_init();
  environ = all;
}
#endif
