/// Meetings of ranks in memory that they share: each says where what it lends lies, waits for the others, works, and waits until all are done.
///
/// A rank's control block stands at the head of its part of the memory and is all zero at first. Plain atomics and futexes: threads of one
/// process and processes of one host use them alike.
#ifndef CMPI_MEETING_H
#define CMPI_MEETING_H
#include <stdint.h>

/// Bytes of a control block: what is lent begins behind it.
enum { CMPI_CONTROL_BYTES = 4096 };

/// The most places that a rank can lend in one meeting.
enum { CMPI_PLACES = 384 };

/// The two things that a rank waits for.
enum { CMPI_ARRIVED = 0, CMPI_DEPARTED = 1 };

/// Publishes what this rank lends in meeting `turn` and that it has arrived. Everything written before is seen by whoever waits for it.
void cmpi_meeting_arrive(void *control, uint32_t turn, uint64_t signature, const int64_t *places, int32_t count);

/// Publishes that this rank is done with everybody's memory in meeting `turn`.
void cmpi_meeting_depart(void *control, uint32_t turn);

/// Waits until the owner of `control` has reached `stage` of meeting `turn`: spins, then yields, then sleeps; 0 after `milliseconds`, else 1.
int32_t cmpi_meeting_wait(void *control, int32_t stage, uint32_t turn, int32_t milliseconds);

/// What a rank that has arrived signed its meeting with.
uint64_t cmpi_meeting_signature(const void *control);

/// How many places a rank that has arrived lends.
int32_t cmpi_meeting_count(const void *control);

/// One of them, in floats behind its control block.
int64_t cmpi_meeting_place(const void *control, int32_t index);

#endif
