// SPDX-License-Identifier: Apache-2.0
/* Measures a machine for the simulator: links, kernels and disk through the same devices and disk that a replay uses,
 * so that what is measured is what a replay gets. Every figure is the median of repetitions and has a spread; noise,
 * throttling and a link below its best are warned of.
 *
 * Nothing else should run on the machine meanwhile. Any thread, one call at a time per device; no prints but to the
 * files given. */
#ifndef EMUV_REPLAY_CALIBRATE_H
#define EMUV_REPLAY_CALIBRATE_H

#include "runtime/core/environment.h"
#include "runtime/device/device.h"
#include "runtime/device/disk.h"

#include <stdio.h>

struct emuv_calibrate_options {
  const struct emuv_device_ops *device;
  int device_index;
  bool with_peer; /* measure copies from the memory of GPU number peer_index */
  int peer_index;
  struct emuv_curve up, down; /* device `host`: the modelled link */
  const char *nvme_path;      /* folder, file or block device (what lies in it is overwritten); NULL: no disk */
  uint64_t nvme_bytes;        /* of it at most; up to 4 GiB are used */
  uint64_t largest_copy;      /* a power of two from 64 KiB; 0 = 64 MiB. 16 times that are used in VRAM and in RAM */
  uint64_t series_bytes;      /* moved per repetition, about; 0 = 256 MiB */
  double disk_seconds;        /* per repetition; 0 = 0.25 */
  int threads;                /* for pinning; 0 = all cores, at most 32 */
};

/* A median. n = 0: not measured. */
struct emuv_figure {
  double value;
  double spread; /* distance between the quartiles / median */
  uint32_t n;    /* repetitions */
};

enum { EMUV_CALIBRATION_SIZES = 12, EMUV_CALIBRATION_MAPS = 3, EMUV_CALIBRATION_WARNINGS = 32 };

/* By size, ascending; bytes per second. */
struct emuv_figures {
  uint32_t n;
  struct {
    uint64_t bytes;
    struct emuv_figure rate;
  } at[EMUV_CALIBRATION_SIZES];
};

struct emuv_calibration {
  struct emuv_device_info device;
  struct emuv_environment environment;
  char link[64];
  struct emuv_figures peer;                                  /* from another GPU's memory */
  struct emuv_figures h2d, d2h, h2d_batched, d2h_batched;    /* batched: 64 pages that do not adjoin, in one call */
  struct emuv_figure duplex, zero_copy, vram, pageable, pin; /* bytes per second */
  struct emuv_figure writing; /* bytes per second, read and written by a kernel that writes pages whole */
  /* Nanoseconds. launch: between two kernels that are queued; shortest: from start to start of kernels with nothing to
   * do; wide: beyond that, if they read more than one block can; wait, busy: between kernels beyond `launch` where each
   * waits for a copy that is done, where copies are on the link; fault: a demand fault beyond its copy and a launch. */
  struct emuv_figure launch, shortest, wide, wait, busy, fault, copy_sync;
  /* Of the host, through the engine: for a kernel and for each of its pages; for a batch of copies and each piece. */
  struct emuv_figure kernel_host, page_host, copy_host, piece_host;
  uint32_t n_maps;
  struct {
    uint64_t page_bytes;
    struct emuv_figure map, unmap; /* nanoseconds of the host per page */
  } maps[EMUV_CALIBRATION_MAPS];
  struct emuv_figures nvme_read, nvme_write;
  struct emuv_figure nvme_latency; /* nanoseconds, beyond what the bytes take at depth */
  struct emuv_disk_info disk;
  uint64_t disk_bytes;
  char watched[96]; /* clock and temperatures of the GPU; "" = unknown */
  uint32_t n_warnings;
  char warnings[EMUV_CALIBRATION_WARNINGS][160];
};

/* Measures; takes about half a minute with the default sizes. What a machine cannot do (pinning, remapping) is left out
 * with a warning. Errors: those of opening the device and the disk, EMUV_ERR_NOMEM, EMUV_ERR_IO. */
int emuv_calibrate_measure(const struct emuv_calibrate_options *options, struct emuv_calibration *c,
                           struct emuv_err *err);
/* All figures, for people: one line each. */
int emuv_calibrate_print(const struct emuv_calibration *c, FILE *table, struct emuv_err *err);
/* A hardware preset that emuv-sim reads. What cannot be measured comes from the shipped preset of the same GPU, if
 * there is one. EMUV_ERR_IO. */
int emuv_calibrate_write(const struct emuv_calibration *c, FILE *preset, struct emuv_err *err);
/* All three; table and preset may be NULL. */
int emuv_calibrate(const struct emuv_calibrate_options *options, FILE *table, FILE *preset, struct emuv_err *err);

#endif
