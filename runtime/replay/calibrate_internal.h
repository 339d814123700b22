// SPDX-License-Identifier: Apache-2.0
/* What the files of calibrate.h share: repetitions, a device with memory on both sides, the watch over the GPU. All of
 * one thread. */
#ifndef EMUV_REPLAY_CALIBRATE_INTERNAL_H
#define EMUV_REPLAY_CALIBRATE_INTERNAL_H

#include "runtime/replay/calibrate.h"

enum { EMUV_CALIBRATE_REPETITIONS = 7, EMUV_CALIBRATE_FRAMES = 16, EMUV_CALIBRATE_BATCH = 64 };

/* A device whose pages are as large as the largest copy, and as much host memory as it has VRAM. */
struct emuv_rig {
  const struct emuv_device_ops *ops;
  struct emuv_device *device;
  uint64_t page_bytes, bytes; /* of a page; of VRAM, and of `host` */
  char *host;
  bool pinned;
  uint64_t disk_seq; /* work of EMUV_STREAM_DISK_READ, done here */
  uint32_t version;  /* of the contents of all pages; 0: not known */
};

/* One repetition of a measurement. */
typedef int (*emuv_measure_fn)(void *arg, double *value, struct emuv_err *err);

double emuv_calibrate_now_ns(void);
/* One run that does not count, then EMUV_CALIBRATE_REPETITIONS. */
int emuv_calibrate_repeat(emuv_measure_fn measure, void *arg, struct emuv_figure *figure, struct emuv_err *err);
/* Median and spread of values that are there already (sorts them). */
struct emuv_figure emuv_calibrate_figure(double *values, uint32_t n);
void emuv_calibrate_warn(struct emuv_calibration *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* calibrate_link.c. inject: faults on purpose (NULL: none), for the life of the rig. */
int emuv_rig_open(const struct emuv_calibrate_options *o, uint64_t page_bytes, struct emuv_inject *inject,
                  struct emuv_rig *rig, struct emuv_err *err);
void emuv_rig_close(struct emuv_rig *rig);
/* The position `at` bytes into VRAM and host memory, both wrap around; bytes is a power of two, at a multiple of it. */
struct emuv_copy emuv_rig_copy(const struct emuv_rig *rig, uint64_t at, uint64_t bytes);
int emuv_calibrate_links(const struct emuv_calibrate_options *o, struct emuv_rig *rig, struct emuv_calibration *c,
                         struct emuv_err *err);
/* Copies from memory of GPU number o->peer_index; a warning where there is no way to it. */
int emuv_calibrate_peer(const struct emuv_calibrate_options *o, struct emuv_rig *rig, struct emuv_calibration *c,
                        struct emuv_err *err);
int emuv_calibrate_pageable(const struct emuv_calibrate_options *o, struct emuv_calibration *c, struct emuv_err *err);

/* The best of plain copies from the memory of GPU number `index`, bytes per second. */
int emuv_calibrate_plain_peer(struct emuv_rig *rig, int index, uint64_t series_bytes, double *up, struct emuv_err *err);
/* The best of plain copies by size, bytes per second: up, down, and both at once (sum). */
int emuv_calibrate_plain(struct emuv_rig *rig, uint64_t series_bytes, double *up, double *down, double *both,
                         struct emuv_err *err);
struct emuv_watch;
/* Keeps the link busy and looks at the GPU meanwhile. */
int emuv_calibrate_load(struct emuv_rig *rig, struct emuv_watch *watch, struct emuv_err *err);

/* calibrate_kernel.c */
int emuv_calibrate_kernels(struct emuv_rig *rig, struct emuv_calibration *c, struct emuv_err *err);
int emuv_calibrate_maps(const struct emuv_calibrate_options *o, struct emuv_calibration *c, struct emuv_err *err);

/* calibrate_host.c */
int emuv_calibrate_host(const struct emuv_calibrate_options *o, struct emuv_calibration *c, struct emuv_err *err);

/* calibrate_disk.c */
int emuv_calibrate_disk(const struct emuv_calibrate_options *o, struct emuv_calibration *c, struct emuv_err *err);
/* Plain requests of slot_bytes at the depth that gives most, over blocks that were written before, in a file of
 * o->nvme_bytes; *rate in bytes per second over `seconds`. EMUV_ERR_RANGE: not even 16 slots fit. */
struct emuv_disk_raw;
int emuv_disk_raw_open(const struct emuv_calibrate_options *o, uint64_t slot_bytes, struct emuv_disk_raw **raw,
                       struct emuv_err *err);
int emuv_disk_raw_rate(struct emuv_disk_raw *raw, bool write, double seconds, double *rate, struct emuv_err *err);
void emuv_disk_raw_close(struct emuv_disk_raw *raw);

/* calibrate_watch.c: the state of an NVIDIA GPU through NVML, loaded at run time; left out where it is missing. */
struct emuv_watch *emuv_watch_open(const struct emuv_device_ops *ops, int index);
/* Call it before, while the link is busy, and after. */
void emuv_watch_sample(struct emuv_watch *watch, bool busy);
/* Warnings about what was seen, and the name of the link. */
void emuv_watch_report(struct emuv_watch *watch, struct emuv_calibration *c);
void emuv_watch_close(struct emuv_watch *watch);

#endif
