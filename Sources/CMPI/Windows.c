#include "CMPI.h"

#include <errno.h>
#include <mpi.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static MPI_Comm neighbours = MPI_COMM_NULL;
static int neighbourCount = 0;
static int *neighbourRanks = NULL;
/// Process numbers; 0 where this process cannot see that one.
static int *neighbourPids = NULL;
static MPI_Win *windows = NULL;
static int windowCount = 0;

int32_t cmpi_find_neighbours(int32_t host, int32_t *count) {
  MPI_Comm sharing = MPI_COMM_NULL;
  int rank = 0, pid = (int)getpid();
  int code = MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (code == MPI_SUCCESS) code = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &sharing);
  if (code == MPI_SUCCESS) code = MPI_Comm_split(sharing, host, rank, &neighbours);
  if (code == MPI_SUCCESS) code = MPI_Comm_free(&sharing);
  if (code == MPI_SUCCESS) code = MPI_Comm_set_errhandler(neighbours, MPI_ERRORS_RETURN);
  if (code == MPI_SUCCESS) code = MPI_Comm_size(neighbours, &neighbourCount);
  if (code != MPI_SUCCESS) return code;
  neighbourRanks = calloc((size_t)neighbourCount, sizeof(int));
  neighbourPids = calloc((size_t)neighbourCount, sizeof(int));
  if (!neighbourRanks || !neighbourPids) return MPI_ERR_NO_MEM;
  code = MPI_Allgather(&rank, 1, MPI_INT, neighbourRanks, 1, MPI_INT, neighbours);
  if (code == MPI_SUCCESS) code = MPI_Allgather(&pid, 1, MPI_INT, neighbourPids, 1, MPI_INT, neighbours);
  // Ranks in containers may share memory and not see each other's processes.
  for (int i = 0; i < neighbourCount; i++)
    if (kill(neighbourPids[i], 0) != 0 && errno == ESRCH) neighbourPids[i] = 0;
  *count = neighbourCount;
  return code;
}

void cmpi_neighbours(int32_t *ranks) {
  for (int i = 0; i < neighbourCount; i++) ranks[i] = neighbourRanks[i];
}

int32_t cmpi_absent_neighbour(void) {
  for (int i = 0; i < neighbourCount; i++)
    if (neighbourPids[i] && kill(neighbourPids[i], 0) != 0 && errno == ESRCH) return neighbourRanks[i];
  return -1;
}

int32_t cmpi_window_allocate(int64_t bytes, void **bases, int32_t *window) {
  MPI_Win *grown = realloc(windows, ((size_t)windowCount + 1) * sizeof *windows);
  if (!grown) return MPI_ERR_NO_MEM;
  windows = grown;
  MPI_Info info = MPI_INFO_NULL;
  int code = MPI_Info_create(&info);
  if (code == MPI_SUCCESS) code = MPI_Info_set(info, "alloc_shared_noncontig", "true");
  if (code != MPI_SUCCESS) return code;
  void *mine = NULL;
  MPI_Win made = MPI_WIN_NULL;
  code = MPI_Win_allocate_shared((MPI_Aint)bytes, 1, info, neighbours, &mine, &made);
  MPI_Info_free(&info);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Win_set_errhandler(made, MPI_ERRORS_RETURN);
  for (int i = 0; i < neighbourCount && code == MPI_SUCCESS; i++) {
    MPI_Aint size = 0;
    int unit = 0;
    code = MPI_Win_shared_query(made, i, &size, &unit, &bases[i]);
  }
  // Loads and stores are made inside one epoch that lasts as long as the window.
  if (code == MPI_SUCCESS) code = MPI_Win_lock_all(MPI_MODE_NOCHECK, made);
  windows[windowCount] = made;
  *window = windowCount++;
  return code;
}

int32_t cmpi_window_free(int32_t window) {
  int code = MPI_Win_unlock_all(windows[window]);
  int freed = MPI_Win_free(&windows[window]);
  return code != MPI_SUCCESS ? code : freed;
}

const char *cmpi_window_directory(void) {
  const char *named = getenv("OMPI_MCA_osc_sm_backing_directory");
  if (named) return named;
  if (access("/dev/shm", W_OK) == 0) return "/dev/shm";
  const char *session = getenv("OMPI_MCA_orte_tmpdir_base");
  if (session) return session;
  const char *temporary = getenv("TMPDIR");
  return temporary ? temporary : "/tmp";
}

int32_t cmpi_reduce_scatter(const float *send, float *receive, const int32_t *counts) {
  return MPI_Reduce_scatter(send, receive, counts, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

int32_t cmpi_all_reduce(float *values, int64_t count, int64_t maximumCount) {
  for (int64_t done = 0; done < count; done += maximumCount) {
    int part = (int)(count - done < maximumCount ? count - done : maximumCount);
    int code = MPI_Allreduce(MPI_IN_PLACE, values + done, part, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    if (code != MPI_SUCCESS) return code;
  }
  return MPI_SUCCESS;
}
