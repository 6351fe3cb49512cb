#define _GNU_SOURCE
#include "CMPIMeeting.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// One flag a cache line: who waits for the one does not disturb who writes the other.
typedef struct {
  uint32_t turn;
  uint32_t sleepers;
  char padding[56];
} flag;

typedef struct {
  flag stages[2];
  uint64_t signature;
  int32_t count;
  int32_t unused;
  int64_t places[CMPI_PLACES];
} control_block;

_Static_assert(sizeof(control_block) <= CMPI_CONTROL_BYTES, "the control block is larger than its place");

static void publish(flag *flag, uint32_t turn) {
  // Sequentially consistent on both sides: either the sleeper sees the turn, or this sees the sleeper.
  __atomic_store_n(&flag->turn, turn, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&flag->sleepers, __ATOMIC_SEQ_CST) != 0) syscall(SYS_futex, &flag->turn, FUTEX_WAKE, 1 << 30, 0, 0, 0);
}

void cmpi_meeting_arrive(void *control, uint32_t turn, uint64_t signature, const int64_t *places, int32_t count) {
  control_block *block = control;
  block->signature = signature;
  block->count = count;
  for (int32_t i = 0; i < count; i++) block->places[i] = places[i];
  publish(&block->stages[CMPI_ARRIVED], turn);
}

void cmpi_meeting_depart(void *control, uint32_t turn) {
  publish(&((control_block *)control)->stages[CMPI_DEPARTED], turn);
}

static int has_reached(flag *flag, uint32_t turn) {
  return (int32_t)(__atomic_load_n(&flag->turn, __ATOMIC_SEQ_CST) - turn) >= 0;
}

int32_t cmpi_meeting_wait(void *control, int32_t stage, uint32_t turn, int32_t milliseconds) {
  // Long enough for a neighbour that runs, short enough to leave the core to one that does not.
  enum { SPINS = 400, YIELDS = 40 };
  flag *flag = &((control_block *)control)->stages[stage];
  for (int i = 0; i < SPINS; i++) {
    if (has_reached(flag, turn)) return 1;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  for (int i = 0; i < YIELDS; i++) {
    sched_yield();
    if (has_reached(flag, turn)) return 1;
  }
  struct timespec now, end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  end.tv_nsec += (long)(milliseconds % 1000) * 1000000;
  end.tv_sec += milliseconds / 1000 + end.tv_nsec / 1000000000;
  end.tv_nsec %= 1000000000;
  for (;;) {
    __atomic_fetch_add(&flag->sleepers, 1, __ATOMIC_SEQ_CST);
    uint32_t seen = __atomic_load_n(&flag->turn, __ATOMIC_SEQ_CST);
    int reached = (int32_t)(seen - turn) >= 0;
    if (!reached) {
      // A wake that is lost to a signal costs one slice.
      struct timespec slice = {0, 20000000};
      syscall(SYS_futex, &flag->turn, FUTEX_WAIT, seen, &slice, 0, 0);
    }
    __atomic_fetch_sub(&flag->sleepers, 1, __ATOMIC_SEQ_CST);
    if (reached || has_reached(flag, turn)) return 1;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec)) return 0;
  }
}

uint64_t cmpi_meeting_signature(const void *control) { return ((const control_block *)control)->signature; }

int32_t cmpi_meeting_count(const void *control) { return ((const control_block *)control)->count; }

int64_t cmpi_meeting_place(const void *control, int32_t index) { return ((const control_block *)control)->places[index]; }
