#include "CMPI.h"

#include <mpi.h>
#include <stdio.h>

int32_t cmpi_init(int32_t *rank, int32_t *size) {
  int provided = 0, result = 0;
  int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if (code != MPI_SUCCESS) return code;
  if (provided < MPI_THREAD_FUNNELED) return MPI_ERR_OTHER;
  code = MPI_Comm_rank(MPI_COMM_WORLD, &result);
  if (code != MPI_SUCCESS) return code;
  *rank = result;
  code = MPI_Comm_size(MPI_COMM_WORLD, &result);
  *size = result;
  return code;
}

void cmpi_error_text(int32_t code, char *text, int32_t capacity) {
  char full[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, full, &length) != MPI_SUCCESS) snprintf(full, sizeof full, "MPI error %d", (int)code);
  snprintf(text, (size_t)capacity, "%s", full);
}

void cmpi_abort(int32_t exitCode) { MPI_Abort(MPI_COMM_WORLD, exitCode); }

int32_t cmpi_finalize(void) { return MPI_Finalize(); }
