// SPDX-License-Identifier: Apache-2.0
/* Faults on purpose. Code that can fail asks at a named point whether it shall fail now; inject.def lists the points. A
 * rule names a point (one rule per point) and says when, by keys between commas:
 *
 *   every=N   at every Nth call (without every and rate: at every call, for good)
 *   rate=P    at random, at this share of the calls
 *   after=N   not at the first N calls; every= counts from there
 *   once      one time; times=N: at most N times
 *   seed=N    of what is chosen at random (otherwise that of open)
 *   for=TIME  how long slow I/O takes
 *
 *   nvme-read-eio:every=100     nvme-slow:every=10,for=5ms     flip-vram:every=50,seed=7     pin-refused:once
 *
 * Without rules there is no object (NULL), and asking costs one comparison. Any thread may ask; an object is no global:
 * who opens it passes it on. */
#ifndef EMUV_CORE_INJECT_H
#define EMUV_CORE_INJECT_H

#include "runtime/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum emuv_inject_point {
#define EMUV_INJECT(id, name, summary) EMUV_INJECT_##id,
#include "runtime/core/inject.def"
#undef EMUV_INJECT
  EMUV_INJECT_N_POINTS,
};

struct emuv_inject; /* opaque */

/* One rule per text, as above; *inject is NULL when n = 0. EMUV_ERR_USAGE with a "did you mean" for unknown points and
 * keys; EMUV_ERR_NOMEM. */
int emuv_inject_open(const char *const *rules, size_t n, uint64_t seed, struct emuv_inject **inject,
                     struct emuv_err *err);
void emuv_inject_close(struct emuv_inject *inject);
/* Shall the caller fail here, now? Counts the call. False when inject is NULL. */
bool emuv_inject_now(struct emuv_inject *inject, enum emuv_inject_point point);
/* A number below n (n > 0) for choosing where to do harm: depends on the rule's seed and how often it has fired. */
uint64_t emuv_inject_choose(struct emuv_inject *inject, enum emuv_inject_point point, uint64_t n);
/* The rule's `for=` in nanoseconds (default 10 ms), for slow I/O. */
uint64_t emuv_inject_delay_ns(const struct emuv_inject *inject, enum emuv_inject_point point);
/* How often a point was asked and how often it fired; 0 and 0 for points without a rule. */
void emuv_inject_counts(const struct emuv_inject *inject, enum emuv_inject_point point, uint64_t *asked,
                        uint64_t *fired);
const char *emuv_inject_name(enum emuv_inject_point point);
const char *emuv_inject_summary(enum emuv_inject_point point);

#endif
