#include "CMPI.h"

#include <mpi.h>
#include <stdio.h>
#include <string.h>

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

int32_t cmpi_exchange(
    const void *send, int64_t sendBytes, int32_t to, void *receive, int64_t receiveBytes, int32_t from,
    int64_t maximumCount, int64_t *received) {
  const int tag = 1;
  *received = 0;
  for (int64_t done = 0; done < sendBytes || done < receiveBytes; done += maximumCount) {
    int64_t sendLeft = sendBytes - done, receiveLeft = receiveBytes - done;
    int sendCount = sendLeft <= 0 ? 0 : (int)(sendLeft < maximumCount ? sendLeft : maximumCount);
    int receiveCount = receiveLeft <= 0 ? 0 : (int)(receiveLeft < maximumCount ? receiveLeft : maximumCount);
    MPI_Status status;
    int code = MPI_Sendrecv(
        sendCount ? (const char *)send + done : NULL, sendCount, MPI_BYTE, sendCount ? to : MPI_PROC_NULL, tag,
        receiveCount ? (char *)receive + done : NULL, receiveCount, MPI_BYTE, receiveCount ? from : MPI_PROC_NULL, tag,
        MPI_COMM_WORLD, &status);
    if (code != MPI_SUCCESS) {
      int class = MPI_SUCCESS;
      MPI_Error_class(code, &class);
      return class == MPI_ERR_TRUNCATE ? CMPI_TOO_LONG : code;
    }
    if (receiveCount) {
      int count = 0;
      code = MPI_Get_count(&status, MPI_BYTE, &count);
      if (code != MPI_SUCCESS) return code;
      *received += count;
      if (count != receiveCount) return MPI_SUCCESS;
    }
  }
  return MPI_SUCCESS;
}

void cmpi_error_text(int32_t code, char *text, int32_t capacity) {
  char full[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, full, &length) != MPI_SUCCESS) snprintf(full, sizeof full, "MPI error %d", (int)code);
  snprintf(text, (size_t)capacity, "%s", full);
}

void cmpi_abort(int32_t exitCode) { MPI_Abort(MPI_COMM_WORLD, exitCode); }

int32_t cmpi_finalize(void) { return MPI_Finalize(); }
