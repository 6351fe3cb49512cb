#include "CMPI.h"

#include <mpi.h>

/// Messages of one direction that may be under way at once.
enum { IN_FLIGHT = 16, TAG = 1 };

/// One direction of an exchange, cut into messages; each has a place among the requests until it is done.
typedef struct {
  char *bytes;
  int64_t length, cut, posted;
  int peer, isSend;
  /// By place: bytes of the message there.
  int counts[IN_FLIGHT];
} stream;

/// Puts the next message into a place; MPI_REQUEST_NULL stays there when none is left.
static int post(stream *s, int place, MPI_Request *request) {
  int64_t left = s->length - s->posted;
  if (left <= 0) return MPI_SUCCESS;
  int count = (int)(left < s->cut ? left : s->cut);
  char *bytes = s->bytes + s->posted;
  s->counts[place] = count;
  s->posted += count;
  return s->isSend ? MPI_Isend(bytes, count, MPI_BYTE, s->peer, TAG, MPI_COMM_WORLD, request)
                   : MPI_Irecv(bytes, count, MPI_BYTE, s->peer, TAG, MPI_COMM_WORLD, request);
}

/// Leaves no request behind that points into memory which the caller may free.
static void cancel(MPI_Request *requests, int count) {
  for (int i = 0; i < count; i++)
    if (requests[i] != MPI_REQUEST_NULL && MPI_Cancel(&requests[i]) == MPI_SUCCESS) MPI_Request_free(&requests[i]);
}

int32_t cmpi_exchange(
    const void *send, int64_t sendBytes, int32_t to, int64_t sendCut, void *receive, int64_t receiveBytes, int32_t from,
    int64_t receiveCut, int64_t *received) {
  stream in = {.bytes = receive, .length = receiveBytes, .cut = receiveCut, .peer = from};
  stream out = {.bytes = (char *)send, .length = sendBytes, .cut = sendCut, .peer = to, .isSend = 1};
  // Receives first: a message that finds its place when it comes is not copied twice.
  MPI_Request requests[2 * IN_FLIGHT];
  int code = MPI_SUCCESS, isShort = 0;
  *received = 0;
  for (int place = 0; place < 2 * IN_FLIGHT; place++) requests[place] = MPI_REQUEST_NULL;
  for (int place = 0; place < 2 * IN_FLIGHT && code == MPI_SUCCESS; place++)
    code = post(place < IN_FLIGHT ? &in : &out, place % IN_FLIGHT, &requests[place]);
  while (code == MPI_SUCCESS && !isShort) {
    int place = MPI_UNDEFINED, count = 0;
    MPI_Status status;
    code = MPI_Waitany(2 * IN_FLIGHT, requests, &place, &status);
    if (code != MPI_SUCCESS || place == MPI_UNDEFINED) break;
    stream *s = place < IN_FLIGHT ? &in : &out;
    if (!s->isSend) {
      code = MPI_Get_count(&status, MPI_BYTE, &count);
      *received += count;
      isShort = count != s->counts[place];
    }
    if (code == MPI_SUCCESS && !isShort) code = post(s, place % IN_FLIGHT, &requests[place]);
  }
  if (code == MPI_SUCCESS && !isShort) return MPI_SUCCESS;
  cancel(requests, 2 * IN_FLIGHT);
  if (isShort) return MPI_SUCCESS;
  int class = MPI_SUCCESS;
  MPI_Error_class(code, &class);
  return class == MPI_ERR_TRUNCATE ? CMPI_TOO_LONG : code;
}
