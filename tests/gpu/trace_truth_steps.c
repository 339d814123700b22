// SPDX-License-Identifier: Apache-2.0
/* See trace_truth.h: tensors against the steps of a trace.
 *
 * A step's spans are the operands of its calls. Bounded operands end where space.h ends them: at the next address that
 * any call uses as a start; so are tensors that a framework puts in memory that it uses again and again, so that for
 * those (read "touch") it is asked that an operand starts at them and reaches their end as it was recorded. A weight
 * counts as exact when exact operands cover it and none of them reaches beyond it. It counts as touched without need
 * ("extra") when a span starts in it, or an exact span overlaps it, in a step that does not read it: where a bounded
 * operand ends is not known, so reaching into a neighbour says nothing. */
#include "tests/gpu/trace_truth.h"
#include "tracer/format/space.h"
#include "tracer/format/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum read { READ_ALL, READ_TOUCH, READ_ROWS, READ_NONE, READS };
static const char *const read_names[READS] = {"all", "touch", "rows", "none"};

enum fault { MISSING, EXTRA, NOT_EXACT, DOUBTFUL, FAULTS };
static const char *const fault_names[FAULTS] = {"missing", "extra", "not_exact", "doubtful"};

enum { LISTED_MAX = 100, RARE_ONE_IN = 10 }; /* LISTED_MAX: of each kind of fault */

struct tally {
  size_t steps, first_step;
  uint64_t bytes; /* of the first step: not covered, touched, not exact */
  uint32_t kernel;
};

struct tensor {
  const char *name;
  uint64_t begin, end;
  enum read read;
  const json_t *steps; /* NULL: all */
  struct tally fault[FAULTS];
};

/* A place in the arguments of a kernel, and how many of its launches have an address there. */
struct place {
  uint32_t kernel, place;
  size_t launches;
};

struct step_sums {
  uint64_t weights, covered, exact, touched;
  size_t launches, faults;
};

struct truth {
  const struct emuv_trace_data *d;
  const struct emuv_trace_order *order;
  const struct truth_options *options;
  struct emuv_trace_space space;
  struct emuv_trace_steps steps;
  struct tensor *tensor;
  struct truth_span *span; /* of the step at hand */
  struct step_sums *sums;  /* by step */
  struct place *places;    /* sorted */
  size_t *kernel_launches; /* by kernel */
  size_t n_tensors, n_spans, cap_spans, n_steps, n_places;
};

static bool in_step(const struct tensor *t, size_t step)
{
  size_t i;
  json_t *number;
  if (t->read == READ_NONE) return false;
  if (!t->steps) return true;
  json_array_foreach(t->steps, i, number) if (json_integer_value(number) == (json_int_t)step) return true;
  return false;
}

/* ---- how common an address is at a place ---- */

static int by_place(const void *a, const void *b)
{
  const struct place *x = a, *y = b;
  if (x->kernel != y->kernel) return x->kernel < y->kernel ? -1 : 1;
  return (x->place > y->place) - (x->place < y->place);
}

/* Kernels, and operands of all launches: those of graphs share theirs in memory. */
static void count(const struct emuv_trace_data *d, size_t *kernels, size_t *operands)
{
  *kernels = 1;
  *operands = 0;
  for (size_t i = 0; i < d->n_launches; i++) {
    if (d->launches[i].kernel >= *kernels) *kernels = (size_t)d->launches[i].kernel + 1;
    *operands += d->launches[i].n_operands;
  }
}

static void merge_places(struct truth *t)
{
  size_t n = 0;
  if (t->n_places) qsort(t->places, t->n_places, sizeof *t->places, by_place);
  for (size_t i = 0; i < t->n_places; i++) {
    if (n && by_place(&t->places[n - 1], &t->places[i]) == 0)
      t->places[n - 1].launches++;
    else
      t->places[n++] = t->places[i];
  }
  t->n_places = n;
}

static bool count_places(struct truth *t)
{
  const struct emuv_trace_data *d = t->d;
  size_t kernels, operands;
  count(d, &kernels, &operands);
  t->kernel_launches = calloc(kernels, sizeof *t->kernel_launches);
  t->places = calloc(operands + 1, sizeof *t->places);
  if (!t->kernel_launches || !t->places) return false;
  for (size_t i = 0; i < d->n_launches; i++) {
    const struct emuv_trace_launch *l = &d->launches[i];
    t->kernel_launches[l->kernel]++;
    for (uint32_t k = 0; k < l->n_operands; k++)
      t->places[t->n_places++] = (struct place){l->kernel, l->operands[k].place, 1};
  }
  merge_places(t);
  return true;
}

static bool is_rare(const struct truth *t, uint32_t kernel, uint32_t place)
{
  const struct place key = {.kernel = kernel, .place = place};
  const struct place *p = t->n_places ? bsearch(&key, t->places, t->n_places, sizeof key, by_place) : NULL;
  return p && p->launches * RARE_ONE_IN < t->kernel_launches[kernel];
}

/* ---- spans ---- */

static bool add_span(struct truth *t, const struct truth_span *span)
{
  if (t->n_spans == t->cap_spans) {
    const size_t cap = 2 * t->cap_spans + 1024;
    struct truth_span *grown = realloc(t->span, cap * sizeof *grown);
    if (!grown) return false;
    t->span = grown;
    t->cap_spans = cap;
  }
  t->span[t->n_spans++] = *span;
  return true;
}

static bool add_operand(struct truth *t, const struct emuv_trace_operand *o, uint32_t kernel)
{
  const bool exact = o->cls == EMUV_TRACE_CLASS_EXACT;
  struct emuv_trace_place place;
  uint64_t address;
  if (!truth_counts(t->options, o) || !truth_operand_address(t->d, o, &address)) return true;
  if (!emuv_trace_space_find(&t->space, o->allocation, o->offset, o->bytes, !exact, &place)) return true;
  return add_span(t, &(struct truth_span){.begin = address,
                                          .end = address + place.bytes,
                                          .reach = address + o->bytes,
                                          .kernel = kernel,
                                          .exact = exact,
                                          .rare = !exact && kernel && is_rare(t, kernel, o->place)});
}

static bool collect(struct truth *t, const struct emuv_trace_step *step, struct step_sums *sums)
{
  t->n_spans = 0;
  for (size_t i = step->first; i < step->first + step->n; i++) {
    const struct emuv_trace_call *call = &t->order->calls[i];
    const bool launch = call->type == EMUV_TRACE_LAUNCH;
    sums->launches += launch;
    for (uint32_t k = 0; k < emuv_trace_call_operands(t->d, call); k++) {
      const struct emuv_trace_operand o = emuv_trace_call_operand(t->d, call, k);
      if (!add_operand(t, &o, launch ? t->d->launches[call->index].kernel : 0)) return false;
    }
  }
  truth_sort(t->span, t->n_spans);
  sums->touched = truth_covered(t->span, t->n_spans, 0, UINT64_MAX, false);
  return true;
}

/* ---- one tensor in one step ---- */

static void note(struct tensor *tensor, enum fault fault, size_t step, uint64_t bytes, uint32_t kernel)
{
  struct tally *f = &tensor->fault[fault];
  if (f->steps++) return;
  f->first_step = step;
  f->bytes = bytes;
  f->kernel = kernel;
}

/* The first span that the tensor meets and that `is` accepts. */
static const struct truth_span *find_span(const struct truth *t, const struct tensor *tensor,
                                          bool (*is)(const struct truth_span *, const struct tensor *))
{
  for (size_t i = 0; i < t->n_spans && t->span[i].begin < tensor->end; i++)
    if (t->span[i].end > tensor->begin && is(&t->span[i], tensor)) return &t->span[i];
  return NULL;
}

static bool reaches_beyond(const struct truth_span *s, const struct tensor *tensor)
{
  return s->exact && (s->begin < tensor->begin || s->reach > tensor->end);
}

static bool means_it(const struct truth_span *s, const struct tensor *tensor)
{
  return !s->rare && (s->exact || s->begin >= tensor->begin);
}

static bool may_mean_it(const struct truth_span *s, const struct tensor *tensor)
{
  return s->rare && s->begin >= tensor->begin;
}

static bool any(const struct truth_span *s, const struct tensor *tensor)
{
  (void)s, (void)tensor;
  return true;
}

static void judge_unread(struct truth *t, struct tensor *tensor, size_t step)
{
  if (tensor->read == READ_TOUCH) return; /* its memory may have been something else */
  const struct truth_span *extra = find_span(t, tensor, means_it);
  const struct truth_span *s = extra ? extra : find_span(t, tensor, may_mean_it);
  if (!s) return;
  const uint64_t bytes = truth_covered(t->span, t->n_spans, tensor->begin, tensor->end, false);
  note(tensor, extra ? EXTRA : DOUBTFUL, step, bytes, s->kernel);
  t->sums[step].faults += extra != NULL;
}

static void judge_weight(struct truth *t, struct tensor *tensor, size_t step, uint64_t covered)
{
  const uint64_t bytes = tensor->end - tensor->begin;
  const struct truth_span *beyond = find_span(t, tensor, reaches_beyond);
  const uint64_t exact = beyond ? 0 : truth_covered(t->span, t->n_spans, tensor->begin, tensor->end, true);
  t->sums[step].weights += bytes;
  t->sums[step].covered += covered;
  t->sums[step].exact += exact;
  if (exact == bytes || covered < bytes) return;
  if (!beyond) beyond = find_span(t, tensor, any);
  note(tensor, NOT_EXACT, step, bytes - exact, beyond ? beyond->kernel : 0);
}

/* Bytes from the tensor's start on that operands which start there reach, those of mappings behind it included. */
static uint64_t reached(const struct truth *t, const struct tensor *tensor)
{
  uint64_t end = tensor->begin;
  for (size_t i = 0; i < t->n_spans && t->span[i].begin <= end; i++)
    if (t->span[i].begin >= tensor->begin && t->span[i].reach > end) end = t->span[i].reach;
  return (end < tensor->end ? end : tensor->end) - tensor->begin;
}

static uint64_t covered_of(const struct truth *t, const struct tensor *tensor)
{
  const uint64_t covered = truth_covered(t->span, t->n_spans, tensor->begin, tensor->end, false);
  const uint64_t from_start = tensor->read == READ_TOUCH ? reached(t, tensor) : 0;
  return covered > from_start ? covered : from_start; /* pages begin before the tensor */
}

static void judge(struct truth *t, struct tensor *tensor, size_t step)
{
  if (!in_step(tensor, step)) {
    judge_unread(t, tensor, step);
    return;
  }
  const uint64_t bytes = tensor->end - tensor->begin;
  const uint64_t covered = covered_of(t, tensor);
  if (tensor->read == READ_ALL) judge_weight(t, tensor, step, covered);
  if (tensor->read == READ_ROWS ? covered > 0 : covered == bytes) return;
  const struct truth_span *s = find_span(t, tensor, any);
  note(tensor, MISSING, step, bytes - covered, s ? s->kernel : 0);
  t->sums[step].faults++;
}

static int judge_steps(struct truth *t)
{
  for (size_t i = 1; i < t->steps.n; i++) { /* step[0] is what comes before */
    if (t->steps.step[i].prefill) continue;
    const size_t step = t->n_steps++;
    if (!collect(t, &t->steps.step[i], &t->sums[step])) return TRUTH_INPUT;
    for (size_t k = 0; k < t->n_tensors; k++) judge(t, &t->tensor[k], step);
  }
  return TRUTH_YES;
}

/* ---- input ---- */

static bool read_tensor(const json_t *entry, struct tensor *tensor)
{
  const char *read = json_string_value(json_object_get(entry, "read"));
  const json_int_t address = json_integer_value(json_object_get(entry, "address"));
  const json_int_t bytes = json_integer_value(json_object_get(entry, "bytes"));
  tensor->name = json_string_value(json_object_get(entry, "name"));
  tensor->steps = json_object_get(entry, "steps");
  tensor->begin = (uint64_t)address;
  tensor->end = tensor->begin + (uint64_t)bytes;
  if (!tensor->name || address <= 0 || bytes <= 0) return false;
  if (!read) { /* files of the first version */
    tensor->read = strstr(tensor->name, "embed_tokens") ? READ_ROWS : READ_ALL;
    return true;
  }
  for (tensor->read = 0; tensor->read < READS; tensor->read++)
    if (strcmp(read, read_names[tensor->read]) == 0) return true;
  return false;
}

static bool read_tensors(struct truth *t, const json_t *list)
{
  size_t i;
  json_t *entry;
  t->tensor = calloc(json_array_size(list) + 1, sizeof *t->tensor);
  if (!t->tensor) return false;
  json_array_foreach(list, i, entry)
  {
    if (!read_tensor(entry, &t->tensor[i])) {
      fprintf(stderr, "trace_truth: entry %zu is no tensor with name, address, bytes and read\n", i);
      return false;
    }
    t->n_tensors++;
  }
  return true;
}

/* ---- output ---- */

static json_t *list_faults(const struct truth *t, enum fault fault, size_t *n)
{
  json_t *list = json_array();
  for (size_t i = 0; i < t->n_tensors; i++) {
    const struct tally *f = &t->tensor[i].fault[fault];
    if (f->steps == 0) continue;
    if ((*n)++ >= LISTED_MAX) continue;
    json_array_append_new(list,
                          json_pack("{s:s, s:I, s:I, s:I, s:I, s:s}", "name", t->tensor[i].name, "steps",
                                    (json_int_t)f->steps, "first_step", (json_int_t)f->first_step, "bytes",
                                    (json_int_t)f->bytes, "of", (json_int_t)(t->tensor[i].end - t->tensor[i].begin),
                                    "kernel", emuv_trace_data_kernel(t->d, f->kernel)));
  }
  return list;
}

static int by_number(const void *a, const void *b)
{
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static void put_median(const struct truth *t, json_t *result, const char *key, uint64_t (*of)(const struct step_sums *))
{
  uint64_t *value = calloc(t->n_steps + 1, sizeof *value);
  if (!value) return;
  for (size_t i = 0; i < t->n_steps; i++) value[i] = of(&t->sums[i]);
  qsort(value, t->n_steps, sizeof *value, by_number);
  json_object_set_new(result, key, json_integer((json_int_t)value[t->n_steps / 2]));
  free(value);
}

static uint64_t weights_of(const struct step_sums *s)
{
  return s->weights;
}
static uint64_t touched_of(const struct step_sums *s)
{
  return s->touched;
}
static uint64_t launches_of(const struct step_sums *s)
{
  return s->launches;
}

static double percent(uint64_t part, uint64_t whole)
{
  return whole ? 100.0 * (double)part / (double)whole : 100.0;
}

static int report(const struct truth *t, json_t *result)
{
  double covered = 100, exact = 100;
  size_t short_steps = 0, n_faults[FAULTS] = {0};
  for (size_t i = 0; i < t->n_steps; i++) {
    const struct step_sums *s = &t->sums[i];
    const double e = percent(s->exact, s->weights), c = percent(s->covered, s->weights);
    if (c < covered) covered = c;
    if (e < exact) exact = e;
    short_steps += s->faults || e < t->options->exact_percent;
  }
  json_object_set_new(result, "unit", json_string(t->steps.unit));
  json_object_set_new(result, "steps", json_integer((json_int_t)t->n_steps));
  json_object_set_new(result, "steps_not_true", json_integer((json_int_t)short_steps));
  json_object_set_new(result, "tensors", json_integer((json_int_t)t->n_tensors));
  put_median(t, result, "weight_bytes_per_step", weights_of);
  put_median(t, result, "touched_bytes_per_step", touched_of);
  put_median(t, result, "launches_per_step", launches_of);
  json_object_set_new(result, "covered_percent", json_real(covered));
  json_object_set_new(result, "exact_percent", json_real(exact));
  for (int f = 0; f < FAULTS; f++) {
    char key[32];
    json_t *list = list_faults(t, (enum fault)f, &n_faults[f]);
    snprintf(key, sizeof key, "n_%s", fault_names[f]);
    json_object_set_new(result, key, json_integer((json_int_t)n_faults[f]));
    json_object_set_new(result, fault_names[f], list);
  }
  return short_steps || !t->n_steps ? TRUTH_NO : TRUTH_YES;
}

static void release(struct truth *t)
{
  emuv_trace_steps_free(&t->steps);
  emuv_trace_space_free(&t->space);
  free(t->tensor);
  free(t->places);
  free(t->kernel_launches);
  free(t->span);
  free(t->sums);
}

int truth_steps(const struct emuv_trace_data *d, const struct emuv_trace_order *order, const json_t *tensors,
                const struct truth_options *options, json_t *result)
{
  struct truth t = {.d = d, .order = order, .options = options};
  struct emuv_err err = {0};
  int status = TRUTH_INPUT;
  if (emuv_trace_space_build(d, &t.space, &err) || emuv_trace_steps_find(d, order, &t.steps, &err)) {
    emuv_err_print(&err, stderr);
  } else {
    t.sums = calloc(t.steps.n, sizeof *t.sums);
    if (t.sums && read_tensors(&t, tensors) && count_places(&t)) status = judge_steps(&t);
    if (status == TRUTH_YES) status = report(&t, result);
  }
  release(&t);
  return status;
}
