// Every kernel once, under names that carry CK_SUFFIX; included by Default.c, Level3.c and Level4.c.
#include <stddef.h>
#include <stdint.h>
#include "CKernels.h"
#pragma STDC FP_CONTRACT OFF
// Inlined functions hand wide vectors around; none crosses a call, so how they would be passed does not matter.
#pragma clang diagnostic ignored "-Wpsabi"
#define CK_PASTE2(a, b) a##_##b
#define CK_PASTE(a, b) CK_PASTE2(a, b)
#define CK(name) CK_PASTE(name, CK_SUFFIX)

#define CK_DECLARE(name) __typeof__(ck_##name) CK(ck_##name);
CK_KERNELS(CK_DECLARE)

#include "vector.h"
#include "elementwise.h"
#include "normalization.h"
#include "images.h"
#include "attention.h"
#include "rows.h"
#include "update.h"
#include "panels.h"
#include "products.h"

#define CK_ENTRY(name) .name = CK(ck_##name),
const struct ck_table CK(ck_table_at) = {CK_KERNELS(CK_ENTRY)};
