// SPDX-License-Identifier: Apache-2.0
/* Progress of a long job on stderr: a bar with the time that is left, driven by the share of estimated work done.
 *
 * The caller gives the whole cost in any unit (estimated seconds, bytes, ...) and adds each finished item with its
 * cost. A bar appears only on a terminal and only when the job lasts more than two seconds; one plain line ends every
 * job that did. Any thread may call emuv_progress_add between start and finish, which belong to one thread. */
#ifndef EMUV_CORE_PROGRESS_H
#define EMUV_CORE_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Speed of a job from what has finished: recent work counts more than old work. Times are seconds since the start. */
struct emuv_estimate {
  double total, done;           /* cost */
  double recent_cost, recent_s; /* exponentially forgotten; their ratio is the speed */
  double last_s;                /* when something last finished */
};

/* Work of this cost has finished at now_s. */
void emuv_estimate_add(struct emuv_estimate *e, double cost, double now_s);
/* Seconds left at now_s, below 0 when nothing has finished yet. */
double emuv_estimate_left_s(const struct emuv_estimate *e, double now_s);

struct emuv_progress {
  char label[48], unit[32]; /* "llama70b", "configurations" */
  uint64_t n_total, n_done;
  struct emuv_estimate estimate;
  double start_s;
  bool quiet, drawn, stop, ticking;
  pthread_t ticker;
  pthread_mutex_t lock; /* guards the counters and stop */
  pthread_cond_t wake;
};

/* quiet: neither bar nor line. */
void emuv_progress_start(struct emuv_progress *p, const char *label, const char *unit, uint64_t n_total,
                         double total_cost, bool quiet);
/* n items of together this cost have finished. */
void emuv_progress_add(struct emuv_progress *p, uint64_t n, double cost);
/* Takes the bar away and, after two seconds, leaves "label: 312 of 312 configurations in 41.2 s". */
void emuv_progress_finish(struct emuv_progress *p);
/* The bar as text of at most `width` columns, at elapsed_s. Returns buf. The caller holds no lock. */
char *emuv_progress_render(const struct emuv_progress *p, double elapsed_s, int width, bool colour, char *buf,
                           size_t size);

#endif
