// SPDX-License-Identifier: Apache-2.0
/* The option table of struct emuv_config: every key of a scenario, its type, default, bounds and help.
 *
 * Invariants: one row per field, in the order in which keys are hashed and listed; every default parses and lies within
 * its bounds; preset keys have the prefix "hw." or "model.". The table is const: any thread. Defaults of the hw.* costs
 * were measured on an H200 (PCIe 5.0); a hardware preset replaces them. */
#include "simulator/config.h"

#include "runtime/policy/policy.h"
#include "runtime/prefetch/prefetch.h"
#include "simulator/source/source.h"
#include "simulator/strategy/strategy.h"

#define AT(field) offsetof(struct emuv_config, field)
#define KiB 0x1p10
#define MiB 0x1p20
#define GiB 0x1p30
#define TiB 0x1p40

static const char *const *write_names(void)
{
  static const char *const names[] = {"back", "through", NULL};
  return names;
}

static const char *const *pin_names(void)
{
  static const char *const names[] = {"none", "kv", "weights", NULL};
  return names;
}

static const char *const *plans_names(void)
{
  static const char *const names[] = {"all", "paging", NULL};
  return names;
}

static const char *const *unknown_access_names(void)
{
  static const char *const names[] = {"read", "read-write", NULL};
  return names;
}

static const char *const *pattern_names(void)
{
  static const char *const names[] = {"cyclic", "zipf", "random", "stride", NULL};
  return names;
}

/* One row of each type: key, field, default, bounds, help. */
// clang-format off
#define BYTES(k, f, d, lo, hi, h) {k, EMUV_OPTION_BYTES, 0, AT(f), d, lo, hi, NULL, h}
#define RATE(k, f, d, h) {k, EMUV_OPTION_RATE, 0, AT(f), d, 0, 1e18, NULL, h}
#define TIME(k, f, d, hi, h) {k, EMUV_OPTION_TIME, 0, AT(f), d, 0, hi, NULL, h}
#define FLOPS(k, f, d, h) {k, EMUV_OPTION_FLOPS, 0, AT(f), d, 0, 1e21, NULL, h}
#define COUNT(k, f, d, lo, hi, h) {k, EMUV_OPTION_U64, 0, AT(f), d, lo, hi, NULL, h}
#define NUMBER(k, f, d, lo, hi, h) {k, EMUV_OPTION_DOUBLE, 0, AT(f), d, lo, hi, NULL, h}
#define FLAG(k, f, d, h) {k, EMUV_OPTION_BOOL, 0, AT(f), d, 0, 0, NULL, h}
#define LABEL(k, f, d, flags, h) {k, EMUV_OPTION_STRING, EMUV_OPTION_NO_HASH | (flags), AT(f), d, 0, 0, NULL, h}
#define NAME(k, f, d, n, h) {k, EMUV_OPTION_NAME, 0, AT(f), d, 0, 0, n, h}
#define CURVE(k, f, h) {k, EMUV_OPTION_CURVE, 0, AT(f), "", 0, 0, NULL, h}
#define ADDED_RATE(k, f, h) {k, EMUV_OPTION_RATE, EMUV_OPTION_ADDED, AT(f), "0B/s", 0, 1e18, NULL, h}
#define ADDED_TIME(k, f, h) {k, EMUV_OPTION_TIME, EMUV_OPTION_ADDED, AT(f), "0ns", 0, 1e9, NULL, h}
#define ADDED_CURVE(k, f, h) {k, EMUV_OPTION_CURVE, EMUV_OPTION_ADDED, AT(f), "", 0, 0, NULL, h}
// clang-format on

static const struct emuv_option options[] = {
    LABEL("scenario", scenario, "", EMUV_OPTION_NO_SWEEP, "name in the results (default: the file's name)"),
    LABEL("description", description, "", EMUV_OPTION_NO_SWEEP, "what the scenario shows, one line"),
    NAME("source", source, "transformer", emuv_source_names, "where the accesses come from"),
    LABEL("trace", trace, "", 0, "trace file of source trace (known by its content, not its name)"),
    {"unknown_access", EMUV_OPTION_NAME, EMUV_OPTION_ADDED, AT(unknown_access), "read", 0, 0, unknown_access_names,
     "trace: what a launch does to memory of which the trace does not tell (read-write: pages become dirty)"},

    LABEL("model.preset", model.preset, "llama-2-7b", 0,
          "model preset, preset file, or Hugging Face config.json; also written model: NAME"),
    COUNT("model.layers", model.layers, "0", 0, 1e6, "decoder layers"),
    COUNT("model.hidden", model.hidden, "0", 0, 1e7, "hidden size, values"),
    COUNT("model.heads", model.heads, "0", 0, 1e5, "attention heads"),
    COUNT("model.kv_heads", model.kv_heads, "0", 0, 1e5, "key-value heads (fewer than heads: grouped-query attention)"),
    COUNT("model.head_dim", model.head_dim, "0", 0, 1e5, "values per head"),
    COUNT("model.intermediate", model.intermediate, "0", 0, 1e7, "inner size of the MLP (of one expert), values"),
    COUNT("model.vocab", model.vocab, "0", 0, 1e8, "vocabulary, tokens"),
    COUNT("model.experts", model.experts, "1", 1, 65536, "experts per layer (1: dense)"),
    COUNT("model.experts_per_token", model.experts_per_token, "1", 1, 65536, "experts that a token uses"),
    COUNT("model.mlp_matrices", model.mlp_matrices, "3", 1, 8, "matrices per MLP (3: gated, 2: plain)"),
    FLAG("model.tied_embeddings", model.tied_embeddings, "false", "the output head is the embedding table"),

    NAME("pattern.kind", pattern.kind, "cyclic", pattern_names, "order of references; also written pattern: KIND"),
    BYTES("pattern.object", pattern.object, "2MiB", 1, TiB, "bytes per object; one reference reads one object"),
    COUNT("pattern.objects", pattern.objects, "1000", 1, 4e9, "distinct objects"),
    COUNT("pattern.references", pattern.references, "10000", 1, 4e9, "references per step"),
    NUMBER("pattern.skew", pattern.skew, "1", 0, 20, "Zipf exponent (0: uniform)"),
    COUNT("pattern.stride", pattern.stride, "1", 1, 4e9, "step between references, objects"),
    NUMBER("pattern.write_ratio", pattern.write_ratio, "0", 0, 1, "share of references that write"),

    LABEL("hw.preset", hw.preset, "rtx-4090", 0, "hardware preset or preset file; also written hardware: NAME"),
    LABEL("hw.gpu", hw.gpu, "", 0, "name of the GPU"),
    LABEL("hw.link", hw.link, "", 0, "name of the host link"),
    BYTES("hw.vram", hw.vram, "0", 0, 64 * TiB, "memory of the card"),
    RATE("hw.vram_rate", hw.vram_rate, "0", "peak bandwidth of the card's memory"),
    NUMBER("hw.vram_efficiency", hw.vram_efficiency, "0.9", 0.001, 1, "share of it that streaming kernels reach"),
    FLOPS("hw.flops", hw.flops, "0", "peak dense fp16 tensor rate with fp32 accumulation"),
    NUMBER("hw.flops_efficiency", hw.flops_efficiency, "0.7", 0.001, 1, "share of it that large products reach"),
    TIME("hw.launch", hw.launch, "1us", 1e9, "GPU time lost per kernel launch"),
    CURVE("hw.h2d", hw.h2d, "host to device by copy size, pinned memory"),
    CURVE("hw.d2h", hw.d2h, "device to host by copy size, pinned memory"),
    ADDED_CURVE("hw.h2d_batched", hw.h2d_batched, "host to device by piece size in batches of 64 (none: one by one)"),
    ADDED_CURVE("hw.d2h_batched", hw.d2h_batched, "device to host by piece size in batches of 64 (none: one by one)"),
    ADDED_CURVE("hw.peer", hw.peer, "to and from another GPU's memory by copy size (none: there is no direct way)"),
    RATE("hw.duplex_rate", hw.duplex_rate, "0", "both directions at once, sum (0: both at full speed)"),
    RATE("hw.zero_copy_rate", hw.zero_copy_rate, "0", "kernels that read pinned host memory in place"),
    RATE("hw.pageable_rate", hw.pageable_rate, "0", "synchronous copies from pageable host memory"),
    TIME("hw.copy_sync", hw.copy_sync, "6.9us", 1e9, "fixed cost of one synchronous copy"),
    TIME("hw.fault", hw.fault, "10us", 1e9, "host cost of one batch of demand faults, software pager"),
    ADDED_TIME("hw.kernel_gap", hw.kernel_gap, "GPU time lost between two kernels of a pager that runs one per slice"),
    ADDED_TIME("hw.kernel_min", hw.kernel_min, "shortest time that such a kernel takes"),
    ADDED_TIME("hw.kernel_wide", hw.kernel_wide,
               "what it takes beyond that when it touches more than 32 KiB or 8 pages"),
    ADDED_RATE("hw.kernel_write_rate", hw.kernel_write_rate,
               "where it reads and writes pages, both counted (0: as it reads)"),
    ADDED_TIME("hw.kernel_wait", hw.kernel_wait, "GPU time lost where it was submitted with a wait for copies"),
    ADDED_TIME("hw.kernel_busy", hw.kernel_busy, "GPU time lost by it while copies to the device are on the link"),
    ADDED_TIME("hw.kernel_host", hw.kernel_host, "host time to submit such a kernel"),
    ADDED_TIME("hw.page_host", hw.page_host, "host time for each page that such a kernel uses"),
    ADDED_TIME("hw.copy_host", hw.copy_host, "host time to submit a batch of copies"),
    ADDED_TIME("hw.piece_host", hw.piece_host, "host time for each piece of it (pages that adjoin are one)"),
    TIME("hw.um_fault_batch", hw.um_fault_batch, "35us", 1e9, "unified memory: cost of one fault batch"),
    BYTES("hw.um_batch_bytes", hw.um_batch_bytes, "2MiB", 4 * KiB, GiB,
          "unified memory: bytes that one fault batch brings on a sequential scan"),
    CURVE("hw.nvme_read", hw.nvme_read, "disk reads by request size at the pager's queue depth"),
    CURVE("hw.nvme_write", hw.nvme_write, "disk writes by request size at the pager's queue depth"),
    TIME("hw.nvme_latency", hw.nvme_latency, "100us", 1e10, "one disk request"),
    NUMBER("hw.power_idle", hw.power_idle, "0", 0, 1e6, "board power at rest, watts (0: no power model)"),
    NUMBER("hw.power_busy", hw.power_busy, "0", 0, 1e6, "board power under load, watts (0: no power model)"),

    COUNT("weight_bits", weight_bits, "16", 1, 64, "bits per weight"),
    COUNT("kv_bits", kv_bits, "16", 1, 64, "bits per value of the KV cache"),
    COUNT("weight_group", weight_group, "0", 0, 1e6, "quantised weights: values per scale and zero point (0: none)"),
    COUNT("batch", batch, "1", 1, 1e6, "sequences decoded together"),
    COUNT("context", context, "4096", 0, 1e9, "tokens in the KV cache when the clock starts"),
    COUNT("prompt", prompt, "0", 0, 1e9, "prefill tokens (0: decode only)"),
    COUNT("tokens", tokens, "8", 1, 1e9, "steps that are timed"),
    COUNT("warmup", warmup, "1", 0, 1e6, "steps before the clock starts"),
    NUMBER("routing_skew", routing_skew, "0", 0, 20, "experts: Zipf exponent of their popularity (0: uniform)"),
    NUMBER("routing_repeat", routing_repeat, "0", 0, 1, "experts: probability that a token repeats the last choice"),
    COUNT("launches_per_layer", launches_per_layer, "12", 1, 1e6, "kernels launched per layer and step"),
    TIME("launch_host", launch_host, "5us", 1e10,
         "host time per launch (eager PyTorch: tens of us, CUDA graphs: about 1)"),
    NUMBER("activation_scale", activation_scale, "1", 0, 1e4,
           "activation workspace in units of batch x tokens x (hidden + intermediate) x 2 bytes"),

    BYTES("vram", vram, "0", 0, 64 * TiB, "device memory that may be used (0: the whole card)"),
    {"peer", EMUV_OPTION_BYTES, EMUV_OPTION_ADDED, AT(peer), "0B", 0, 64 * TiB, NULL,
     "memory of another GPU that holds pages, beside RAM (strategies paged and emuv; not with a disk)"},
    BYTES("ram", ram, "256GiB", 0, 1024 * TiB, "pinned host memory"),
    BYTES("nvme", nvme, "0", 0, 0x1p60, "disk space below it (0: no disk tier)"),
    BYTES("page_size", page_size, "2MiB", 4 * KiB, 64 * GiB, "unit of residency and eviction"),
    NAME("policy", policy, "recur", emuv_policy_names, "which page leaves (strategy paged)"),
    NAME("prefetch", prefetch, "learned", emuv_prefetch_names,
         "which pages come ahead of use (strategy paged; none where a policy is named and no prefetcher)"),
    NAME("strategy", strategy, "paged", emuv_strategy_names, "how the workload is run"),
    {"plans", EMUV_OPTION_NAME, EMUV_OPTION_ADDED, AT(plans), "all", 0, 0, plans_names,
     "what strategy emuv may choose (paging: only what emuv-replay can run)"},
    BYTES("lookahead", lookahead, "0", 0, 64 * TiB, "bytes loaded ahead of use at most (0: the strategy's choice)"),
    BYTES("slice", slice, "32MiB", 4 * KiB, TiB, "a launch consumes its pages in order in slices of this size"),
    BYTES("coalesce", coalesce, "0", 0, TiB, "neighbouring pages copied together up to this size (0: page by page)"),
    NAME("write", write, "back", write_names, "when changed pages go down: on eviction (back) or at once (through)"),
    NAME("pin", pin, "none", pin_names, "what is never evicted while it fits"),
    COUNT("seed", seed, "1", 0, 0, "seed of everything random"),
};

const struct emuv_option *emuv_config_options(size_t *n)
{
  *n = sizeof options / sizeof options[0];
  return options;
}

int emuv_config_defaults(struct emuv_config *config, struct emuv_err *err)
{
  *config = (struct emuv_config){0};
  return emuv_option_defaults(options, sizeof options / sizeof options[0], config, err);
}
