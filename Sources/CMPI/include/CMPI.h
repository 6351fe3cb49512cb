/// MPI as flat functions: its communicators, types and constants are macros that Swift cannot import.
///
/// One thread makes all of these calls, from cmpi_init to cmpi_finalize. MPI is linked: a machine without libmpi cannot start the program.
#ifndef CMPI_H
#define CMPI_H
#include <stdint.h>

/// What every function returns when all went well.
enum { CMPI_SUCCESS = 0 };

/// What cmpi_exchange returns when more bytes came than were expected; no MPI error code is negative.
enum { CMPI_TOO_LONG = -1 };

/// Starts MPI (MPI_THREAD_FUNNELED), makes its errors return, and tells this process's place in the world.
int32_t cmpi_init(int32_t *rank, int32_t *size);

/// Sends sendBytes bytes to rank `to` while receiving receiveBytes bytes from rank `from`; a side of 0 bytes takes no part.
///
/// No MPI call carries more than maximumCount bytes; both ends cut a message in the same way. `received` becomes the number of bytes that came.
int32_t cmpi_exchange(
    const void *send, int64_t sendBytes, int32_t to, void *receive, int64_t receiveBytes, int32_t from,
    int64_t maximumCount, int64_t *received);

/// The text of an error code, cut to capacity bytes with its final 0.
void cmpi_error_text(int32_t code, char *text, int32_t capacity);

/// Ends every process of the world with exitCode.
void cmpi_abort(int32_t exitCode);

/// Ends this process's part in the world.
int32_t cmpi_finalize(void);

#endif
