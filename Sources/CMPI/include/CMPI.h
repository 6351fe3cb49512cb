/// MPI as flat functions: its communicators, types and constants are macros that Swift cannot import.
///
/// One thread makes all of these calls, from cmpi_init to cmpi_finalize. MPI is linked: a machine without libmpi cannot start the program.
#ifndef CMPI_H
#define CMPI_H
#include "CMPIMeeting.h"
#include "CMPIWire.h"

#include <stdint.h>

/// What every function returns when all went well.
enum { CMPI_SUCCESS = 0 };

/// What cmpi_exchange returns when more bytes came than were expected; no MPI error code is negative.
enum { CMPI_TOO_LONG = -1 };

/// Starts MPI (MPI_THREAD_FUNNELED), makes its errors return, and tells this process's place in the world.
int32_t cmpi_init(int32_t *rank, int32_t *size);

/// Sends sendBytes bytes to rank `to` while receiving receiveBytes bytes from rank `from`; a side of 0 bytes takes no part.
///
/// Each direction is cut into messages of `sendCut` and `receiveCut` bytes, at most INT_MAX, of which several are under way at once; both ends of
/// a direction cut alike. `received` becomes the number of bytes that came.
int32_t cmpi_exchange(
    const void *send, int64_t sendBytes, int32_t to, int64_t sendCut, void *receive, int64_t receiveBytes, int32_t from,
    int64_t receiveCut, int64_t *received);

/// Finds the ranks that can share memory with this one and call themselves by the same number; collective over the world, once.
///
/// `count` becomes how many there are, this one included, in rank order.
int32_t cmpi_find_neighbours(int32_t host, int32_t *count);

/// The ranks that cmpi_find_neighbours found.
void cmpi_neighbours(int32_t *ranks);

/// The rank of a neighbour whose process has died; -1 if there is none, or if this process cannot see the others'.
int32_t cmpi_absent_neighbour(void);

/// Allocates shared memory of `bytes` bytes on this rank and tells where every neighbour's lies; collective over the neighbours.
///
/// Addresses are on no particular edge. `window` names it for cmpi_window_free.
int32_t cmpi_window_allocate(int64_t bytes, void **bases, int32_t *window);

/// Gives shared memory back; collective over the neighbours.
int32_t cmpi_window_free(int32_t window);

/// The directory in which MPI places the files behind shared memory.
const char *cmpi_window_directory(void);

/// MPI's own sum of `counts[0] + counts[1] + …` floats; this rank receives its slice.
int32_t cmpi_reduce_scatter(const float *send, float *receive, const int32_t *counts);

/// MPI's own sum of `count` floats in place, on every rank.
int32_t cmpi_all_reduce(float *values, int64_t count, int64_t maximumCount);

/// The text of an error code, cut to capacity bytes with its final 0.
void cmpi_error_text(int32_t code, char *text, int32_t capacity);

/// Ends every process of the world with exitCode.
void cmpi_abort(int32_t exitCode);

/// Ends this process's part in the world.
int32_t cmpi_finalize(void);

#endif
