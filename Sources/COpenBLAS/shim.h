#include <cblas.h>

// LAPACK, which OpenBLAS carries and cblas.h leaves out: eigenvalues w and eigenvectors (over a) of a symmetric matrix.
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
             const int *lwork, int *iwork, const int *liwork, int *info);
