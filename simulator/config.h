// SPDX-License-Identifier: Apache-2.0
/* One configuration: everything that one row of the results depends on. Filled through the option table in config.c
 * (the keys that users write), so a new key is one field here and one row there. Plain data: copied by assignment. */
#ifndef EMUV_SIMULATOR_CONFIG_H
#define EMUV_SIMULATOR_CONFIG_H

#include "runtime/core/option.h"

#include <stdbool.h>
#include <stdint.h>

typedef char emuv_text[EMUV_OPTION_STRING_SIZE];

/* Keys hw.*; presets in scenarios/hardware/NAME.yaml. Rates in bytes per second, times in nanoseconds. */
struct emuv_hardware {
  emuv_text preset;                           /* hw.preset (also written `hardware: NAME`) */
  emuv_text gpu;                              /* marketing name */
  emuv_text link;                             /* "PCIe 4.0 x16" */
  uint64_t vram;                              /* bytes on the card */
  double vram_rate;                           /* peak memory bandwidth */
  double vram_efficiency;                     /* share of it that large streaming kernels reach, 0..1 */
  double flops;                               /* peak dense fp16/bf16 tensor FLOP/s (fp32 accumulate) */
  double flops_efficiency;                    /* share that large matrix products reach, 0..1 */
  double launch;                              /* GPU time lost per kernel launch (back-to-back kernels), ns */
  struct emuv_curve h2d, d2h;                 /* pinned copies by size, one copy engine per direction */
  struct emuv_curve h2d_batched, d2h_batched; /* the same for pieces of a batch of 64; n = 0: copies go one by one */
  double duplex_rate;                         /* both directions together, sum */
  struct emuv_curve peer;                     /* copies to and from another GPU's memory by size; n = 0: no way */
  double zero_copy_rate;                      /* kernels reading pinned host memory in place */
  double pageable_rate;                       /* synchronous copies from pageable host memory */
  double copy_sync;              /* fixed cost of one synchronous copy (copy + stream synchronise, small), ns */
  double fault;                  /* software pager: host cost of handling one demand fault batch, ns */
  double kernel_gap, kernel_min; /* emuv-replay's kernels, one per slice: time lost between two, shortest one; ns */
  double kernel_wide;            /* what one takes beyond the shortest if it reads more than one block can; ns */
  double kernel_write_rate;      /* bytes that it reads and writes per second where it writes pages; 0: as it reads */
  double kernel_wait; /* GPU time lost where one was submitted with a wait for a copy that is done by then; ns */
  double kernel_busy; /* GPU time that one loses while the link up is busy; ns */
  double kernel_host, page_host;           /* host time to submit one, and for each page that it uses; ns */
  double copy_host, piece_host;            /* host time to submit a batch of copies, and for each piece of it; ns */
  double um_fault_batch;                   /* unified memory: one fault batch, ns */
  uint64_t um_batch_bytes;                 /* unified memory: bytes that one fault batch brings on a sequential scan */
  struct emuv_curve nvme_read, nvme_write; /* by request size at the queue depth that the pager uses */
  double nvme_latency;                     /* one request, ns */
  double power_idle, power_busy;           /* board power, watts; 0 = no power model */
};

/* Keys model.*; presets in scenarios/models/NAME.yaml, or a Hugging Face config.json. */
struct emuv_model {
  emuv_text preset; /* model.preset (also written `model: NAME` or `model: path/config.json`) */
  uint64_t layers, hidden, heads, kv_heads, head_dim, intermediate, vocab;
  uint64_t experts;           /* 1 = dense */
  uint64_t experts_per_token; /* 1 for dense */
  uint64_t mlp_matrices;      /* 3 = gated (Llama), 2 = plain */
  bool tied_embeddings;
};

struct emuv_pattern {
  emuv_text kind;      /* cyclic zipf random stride */
  uint64_t object;     /* bytes per object: one reference reads one object */
  uint64_t objects;    /* distinct objects */
  uint64_t references; /* per step */
  double skew;         /* zipf exponent */
  uint64_t stride;     /* in objects */
  double write_ratio;  /* share of references that write */
};

struct emuv_config {
  emuv_text scenario;       /* name, not hashed */
  emuv_text description;    /* not hashed */
  emuv_text source;         /* transformer trace pattern */
  emuv_text trace;          /* path of a .emuv file; hashed by content */
  emuv_text unknown_access; /* read read-write: operands of a trace whose access is not known */
  struct emuv_model model;
  struct emuv_pattern pattern;
  struct emuv_hardware hw;
  uint64_t weight_bits, kv_bits;           /* 16 8 4 ... */
  uint64_t weight_group;                   /* quantised weights: values per scale (and zero point); 0 = none */
  uint64_t batch, context, prompt, tokens; /* prompt: prefill tokens (0 = decode only); tokens: decode steps timed */
  uint64_t warmup;                         /* steps run before the clock starts */
  double routing_skew;                     /* experts: Zipf exponent of expert popularity, 0 = uniform */
  double routing_repeat;                   /* experts: probability that a token takes the experts of the token before */
  uint64_t launches_per_layer;             /* kernels that the framework launches per decoder layer and step */
  double launch_host;             /* host time per launch, ns (eager PyTorch: tens of us; CUDA graphs: about 1) */
  double activation_scale;        /* activation workspace in units of batch x tokens x (hidden + intermediate) x 2 B */
  uint64_t vram, peer, ram, nvme; /* capacities; vram 0 = the card's; peer: of another GPU's memory */
  uint64_t page_size;
  emuv_text policy, prefetch, strategy;
  uint64_t lookahead; /* bytes that may be loaded ahead of use (0 = strategy's own choice) */
  uint64_t slice;     /* a launch consumes its pages in order in slices of this many bytes */
  uint64_t coalesce;  /* adjacent pages are copied together up to this many bytes (0 = page by page) */
  emuv_text write;    /* back through */
  emuv_text plans;    /* all paging: what strategy emuv may choose */
  emuv_text pin;      /* none kv weights: segments of this kind are never evicted while they fit */
  uint64_t seed;
};

/* The option table of struct emuv_config; *n rows. */
const struct emuv_option *emuv_config_options(size_t *n);
/* Defaults of every key. */
int emuv_config_defaults(struct emuv_config *config, struct emuv_err *err);

#endif
