#include "CKernels.h"

// A rank is one thread that calls every product of its own, so a count by thread is a count by rank and needs no atomics.
static _Thread_local int64_t operations;

void ck_note_operations(int64_t count) { operations += count; }
int64_t ck_noted_operations(void) { return operations; }
