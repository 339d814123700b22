// SPDX-License-Identifier: Apache-2.0
/* The answer on the terminal; see report.h.
 *
 * Configurations that differ only in choices (strategy, policy, page size, ...) are one situation; its best row is what
 * to do there. Rows whose policy or prefetcher needs the future are yardsticks: they are shown, but they are not a way
 * to run. Rows within TIE of each other are equal, and the planner's or the first of the scenario stands for them, so
 * that the answer depends neither on the number of threads nor on the order in which rows were stored. One thread. */
#include "simulator/keys.h"
#include "simulator/report.h"
#include "simulator/rows.h"
#include "simulator/table.h"

#include "runtime/core/units.h"
#include "runtime/policy/policy.h"
#include "runtime/prefetch/prefetch.h"
#include "simulator/strategy/strategy.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <xxhash.h>

enum { MAX_LINES = 32, MAX_WAYS = 24, MAX_REASONS = 8, TEXT = 160 };

static const double TIE = 1e-4;
static const char foresight[] = "* needs to know the future: a yardstick, not a way to run\n";

/* What keeps a run from being faster: whatever is busy for the largest share of its time. */
static const char *const resources[] = {"compute", "link", "disk", "host"};
enum { N_RESOURCES = sizeof resources / sizeof resources[0] };

struct row {
  const struct emuv_config *config;
  bool ok, moves, yardstick, resident, planner;
  double rate, bound, busy[N_RESOURCES];
  uint64_t footprint;
  char bound_by[16], unit[16], workload[64], plan[96], status[TEXT];
};

struct situation {
  uint64_t hash;
  size_t ordinal;
  struct row *first, *best, *ideal, *resident;
  UT_hash_handle hh;
};

/* A strategy, with its policy, in a situation; its best row is over prefetchers, page sizes and other choices. */
struct way {
  uint64_t hash;
  const struct situation *situation;
  struct row *best;
  UT_hash_handle hh;
};

struct answer {
  const struct emuv_scenario *scenario;
  struct row *rows;
  const struct emuv_config **configs; /* of the rows */
  size_t n_rows, n_situations, n_ways, n_keys, n_details;
  struct situation *situations; /* uthash, in the order of the scenario */
  struct way *ways;             /* uthash */
  size_t n_varying;
  const struct emuv_option *varying[EMUV_KEYS_MAX]; /* keys by which any two rows differ; of them: */
  const struct emuv_option *keys[EMUV_KEYS_MAX];    /* those that tell situations apart, */
  const struct emuv_option *details[EMUV_KEYS_MAX]; /* choices that are not shown in other ways */
  bool sides;                                       /* show the ways side by side */
};

static const char rows_sql[] =
    "SELECT s.ordinal, r.status, r.tokens_per_s, r.tokens / r.bound_s, r.bound_by, r.work_unit, r.workload, r.plan, "
    "r.footprint_bytes, r.h2d_bytes + r.d2h_bytes + r.peer_read_bytes + r.peer_write_bytes + r.nvme_read_bytes + "
    "r.nvme_write_bytes, "
    "r.compute_s / r.total_s, "
    "r.link_utilisation, r.disk_utilisation, r.stall_host_s / r.total_s "
    "FROM temp.selected AS s JOIN runs AS r ON r.config_hash = s.config_hash WHERE r.kind = ? AND r.repetition = 0 "
    "ORDER BY s.ordinal";

static bool needs_future(const struct emuv_config *c)
{
  const struct emuv_strategy_ops *strategy = emuv_strategy_find(c->strategy);
  const struct emuv_policy_ops *policy = emuv_policy_find(c->policy);
  const struct emuv_prefetch_ops *prefetch = emuv_prefetch_find(c->prefetch);
  if (!strategy || !(strategy->flags & EMUV_STRATEGY_POLICY)) return false;
  return (policy && (policy->flags & EMUV_POLICY_NEEDS_FUTURE)) ||
         (prefetch && (prefetch->flags & EMUV_PREFETCH_NEEDS_FUTURE));
}

static void read_row(struct answer *a, sqlite3_stmt *s, struct row *row)
{
  const struct emuv_config *c = &a->scenario->configs[sqlite3_column_int64(s, 0)];
  const struct emuv_strategy_ops *strategy = emuv_strategy_find(c->strategy);
  *row = (struct row){.config = c, .yardstick = needs_future(c)};
  row->resident = strategy && (strategy->flags & EMUV_STRATEGY_UNLIMITED);
  row->planner = strcmp(c->strategy, "emuv") == 0;
  row->ok = strcmp(emuv_rows_text(s, 1), "ok") == 0;
  row->rate = sqlite3_column_double(s, 2);
  row->bound = sqlite3_column_double(s, 3);
  row->footprint = (uint64_t)sqlite3_column_int64(s, 8);
  row->moves = sqlite3_column_int64(s, 9) > 0;
  for (int i = 0; i < N_RESOURCES; i++) row->busy[i] = sqlite3_column_double(s, 10 + i);
  (void)snprintf(row->status, sizeof row->status, "%s", emuv_rows_text(s, 1));
  (void)snprintf(row->bound_by, sizeof row->bound_by, "%s", emuv_rows_text(s, 4));
  (void)snprintf(row->unit, sizeof row->unit, "%s", emuv_rows_text(s, 5));
  (void)snprintf(row->workload, sizeof row->workload, "%s", emuv_rows_text(s, 6));
  (void)snprintf(row->plan, sizeof row->plan, "%s", emuv_rows_text(s, 7));
}

static int read_rows(struct answer *a, struct emuv_results *r, const char *kind, struct emuv_err *err)
{
  sqlite3_stmt *s = NULL;
  a->rows = calloc(a->scenario->n_configs + 1, sizeof *a->rows);
  if (!a->rows) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %zu rows", a->scenario->n_configs);
  if (sqlite3_prepare_v2(r->db, rows_sql, -1, &s, NULL) != SQLITE_OK)
    return emuv_err_set(err, EMUV_ERR_IO, "%s: cannot read: %s", r->path, sqlite3_errmsg(r->db));
  sqlite3_bind_text(s, 1, kind, -1, SQLITE_STATIC);
  while (a->n_rows < a->scenario->n_configs && sqlite3_step(s) == SQLITE_ROW) read_row(a, s, &a->rows[a->n_rows++]);
  sqlite3_finalize(s);
  return 0;
}

/* Of equals the planner is preferred: it adapts when something changes. */
static bool is_better(const struct row *row, const struct row *than)
{
  if (!row->ok || !than) return row->ok;
  if (row->rate > than->rate * (1 + TIE)) return true;
  return row->rate >= than->rate * (1 - TIE) && row->planner && !than->planner;
}

/* Everything is in VRAM, however it is run. */
static bool fits_anyway(const struct row *row)
{
  return row->ok && !row->moves && !row->resident && row->config->vram >= row->footprint;
}

static int add_to_way(struct answer *a, const struct situation *s, struct row *row, struct emuv_err *err)
{
  const struct emuv_config *c = row->config;
  bool fits = fits_anyway(row);
  const char *strategy = fits ? "" : c->strategy, *policy = fits ? "" : c->policy;
  uint64_t hash = XXH3_64bits_withSeed(strategy, strlen(strategy), s->hash + (row->yardstick && !fits));
  struct way *w;
  hash = XXH3_64bits_withSeed(policy, strlen(policy), hash);
  HASH_FIND(hh, a->ways, &hash, sizeof hash, w);
  if (w) {
    if (is_better(row, w->best->ok ? w->best : NULL)) w->best = row;
    return 0;
  }
  w = calloc(1, sizeof *w);
  if (!w) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the answer");
  *w = (struct way){.hash = hash, .situation = s, .best = row};
  HASH_ADD(hh, a->ways, hash, sizeof w->hash, w);
  a->n_ways++;
  return 0;
}

static int add_to_situation(struct answer *a, struct row *row, struct emuv_err *err)
{
  uint64_t hash = emuv_keys_hash(row->config, EMUV_KEY_WORK | EMUV_KEY_CAPACITY);
  struct situation *s;
  HASH_FIND(hh, a->situations, &hash, sizeof hash, s);
  if (!s) {
    s = calloc(1, sizeof *s);
    if (!s) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the answer");
    s->hash = hash;
    s->first = row;
    s->ordinal = a->n_situations++;
    HASH_ADD(hh, a->situations, hash, sizeof s->hash, s);
  }
  struct row **slot = row->resident ? &s->resident : row->yardstick ? &s->ideal : &s->best;
  if (is_better(row, *slot)) *slot = row;
  return add_to_way(a, s, row, err);
}

/* Yardsticks alone are better than nothing; one that is no better than the best says nothing. */
static void settle(struct situation *s)
{
  if (!s->best && s->ideal) s->best = s->ideal;
  if (s->ideal && s->ideal != s->best && s->ideal->rate <= s->best->rate * (1 + TIE)) s->ideal = NULL;
  if (s->ideal == s->best) s->ideal = NULL;
}

static int find_situations(struct answer *a, struct emuv_err *err)
{
  int rc = 0;
  for (size_t i = 0; i < a->n_rows && !rc; i++) rc = add_to_situation(a, &a->rows[i], err);
  for (struct situation *s = a->situations; s; s = s->hh.next) settle(s);
  return rc;
}

/* Shown by the columns "workload", "way to run it" and "page". */
static bool has_own_column(const struct emuv_option *key)
{
  static const char *const keys[] = {"strategy",     "policy",       "prefetch", "page_size", "source",
                                     "model.preset", "pattern.kind", "trace",    NULL};
  for (size_t i = 0; keys[i]; i++)
    if (strcmp(keys[i], key->key) == 0) return true;
  return false;
}

static int find_keys(struct answer *a, struct emuv_err *err)
{
  a->configs = calloc(a->n_rows + 1, sizeof(void *));
  if (!a->configs) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the answer");
  for (size_t i = 0; i < a->n_rows; i++) a->configs[i] = a->rows[i].config;
  a->n_varying =
      emuv_keys_varying(a->configs, a->n_rows, EMUV_KEY_WORK | EMUV_KEY_CAPACITY | EMUV_KEY_CHOICE, a->varying);
  for (size_t i = 0; i < a->n_varying; i++) {
    if (has_own_column(a->varying[i])) continue;
    if (emuv_key_class_of(a->varying[i]) == EMUV_KEY_CHOICE)
      a->details[a->n_details++] = a->varying[i];
    else if (emuv_key_class_of(a->varying[i]) == EMUV_KEY_CAPACITY ||
             !emuv_key_is_implied(a->varying[i], a->keys, a->n_keys, a->configs, a->n_rows))
      a->keys[a->n_keys++] = a->varying[i];
  }
  return 0;
}

/* "paged lru, layer ahead, coalesce 32MiB" or "emuv: keep + 96MiB ahead". */
static const char *describe(const struct answer *a, const struct row *row, char *buf, size_t size)
{
  const struct emuv_config *c = row->config;
  const struct emuv_strategy_ops *strategy = emuv_strategy_find(c->strategy);
  if (fits_anyway(row)) {
    (void)snprintf(buf, size, "anything: it fits");
    return buf;
  }
  bool paged = strategy && (strategy->flags & EMUV_STRATEGY_POLICY);
  int used = snprintf(buf, size, "%s%s%s%s%s", c->strategy,
                      paged          ? " "
                      : row->plan[0] ? ": "
                                     : "",
                      paged ? c->policy : row->plan, paged && strcmp(c->prefetch, "none") != 0 ? " + " : "",
                      paged && strcmp(c->prefetch, "none") != 0 ? c->prefetch : "");
  for (size_t i = 0; paged && i < a->n_details && used > 0 && (size_t)used < size; i++) {
    char value[64];
    if (emuv_key_is_default(a->details[i], c)) continue;
    used += snprintf(buf + used, size - (size_t)used, ", %s %s", emuv_key_name(a->details[i]),
                     emuv_key_value(a->details[i], c, value, sizeof value));
  }
  if (row->ok && row->yardstick && used > 0 && (size_t)used + 1 < size) memcpy(buf + used, "*", 2);
  return buf;
}

static const char *rate(double v, char buf[32])
{
  (void)snprintf(buf, 32, v >= 1000 ? "%.0f" : "%.4g", v);
  return buf;
}

static const char *limit_of(const struct row *row)
{
  int most = 0;
  for (int i = 1; i < N_RESOURCES; i++)
    if (row->busy[i] > row->busy[most]) most = i;
  return resources[most];
}

static const char *short_workload(const struct row *row)
{
  static const char transformer[] = "transformer:";
  bool cut = strncmp(row->workload, transformer, sizeof transformer - 1) == 0;
  return row->workload + (cut ? sizeof transformer - 1 : 0);
}

static void situation_columns(const struct answer *a, struct emuv_table *t)
{
  emuv_table_column(t, "workload", EMUV_TABLE_VARYING);
  for (size_t i = 0; i < a->n_keys; i++) {
    bool text = a->keys[i]->type >= EMUV_OPTION_BOOL;
    emuv_table_column(t, emuv_key_name(a->keys[i]), EMUV_TABLE_VARYING | (text ? 0 : EMUV_TABLE_RIGHT));
  }
  emuv_table_column(t, "needs", EMUV_TABLE_VARYING | EMUV_TABLE_RIGHT | EMUV_TABLE_OPTIONAL);
}

static void situation_cells(const struct answer *a, const struct row *row, struct emuv_table *t)
{
  char value[TEXT];
  emuv_table_cell(t, "%s", short_workload(row));
  for (size_t i = 0; i < a->n_keys; i++) {
    bool told = emuv_key_varies_beside(a->keys[i], row->config, a->configs, a->n_rows);
    emuv_table_cell(t, "%.24s", told ? emuv_key_value(a->keys[i], row->config, value, sizeof value) : "");
  }
  emuv_table_cell(t, "%s", emuv_units_human_bytes((double)row->footprint, value, sizeof value));
}

/* "token", or "work" where rows count different things. */
static const char *unit_of(const struct answer *a)
{
  const char *unit = "";
  for (size_t i = 0; i < a->n_rows; i++) {
    if (!unit[0]) unit = a->rows[i].unit;
    if (a->rows[i].unit[0] && strcmp(a->rows[i].unit, unit) != 0) return "work";
  }
  return unit[0] ? unit : "work";
}

static void result_columns(const struct answer *a, struct emuv_table *t)
{
  char name[EMUV_TABLE_NAME];
  const char *unit = unit_of(a);
  emuv_table_column(t, a->sides ? "way to run it" : "best way to run it", 0);
  emuv_table_column(t, "page", EMUV_TABLE_VARYING | EMUV_TABLE_RIGHT | EMUV_TABLE_LATE);
  (void)snprintf(name, sizeof name, "%s%s/s", unit,
                 strcmp(unit, "access") == 0 ? "es"
                 : strcmp(unit, "work") == 0 ? ""
                                             : "s");
  emuv_table_column(t, name, EMUV_TABLE_RIGHT);
  emuv_table_column(t, "bound", EMUV_TABLE_RIGHT);
  emuv_table_column(t, "by", EMUV_TABLE_OPTIONAL);
  emuv_table_column(t, "of it", EMUV_TABLE_RIGHT);
  emuv_table_column(t, "limit", 0);
}

static void result_cells(const struct answer *a, const struct row *row, struct emuv_table *t)
{
  char text[TEXT];
  if (!row->ok) {
    emuv_table_cell(t, "%s: cannot run", describe(a, row, text, sizeof text));
    for (int i = 0; i < 6; i++) emuv_table_cell(t, "%s", "");
    return;
  }
  emuv_table_cell(t, "%s", describe(a, row, text, sizeof text));
  emuv_table_cell(t, "%s", row->moves ? emuv_units_format_bytes(row->config->page_size, text, sizeof text) : "");
  emuv_table_cell(t, "%s", rate(row->rate, text));
  emuv_table_cell(t, "%s", rate(row->bound, text));
  emuv_table_cell(t, "%s", row->bound_by);
  emuv_table_cell(t, "%.1f%%", row->bound > 0 ? 100 * row->rate / row->bound : 100);
  emuv_table_cell(t, "%s", limit_of(row));
}

/* The line of a situation: its best row, and what everything in VRAM and knowing the future would give. */
static void add_best(const struct answer *a, const struct situation *s, struct emuv_table *t)
{
  char text[32];
  const struct row *row = s->best ? s->best : s->first;
  situation_cells(a, row, t);
  result_cells(a, row, t);
  emuv_table_cell(t, "%s", s->resident ? rate(s->resident->rate, text) : "");
  emuv_table_cell(t, "%s", s->ideal ? rate(s->ideal->rate, text) : "");
}

static int print_best(const struct answer *a, FILE *out, int width, struct emuv_err *err)
{
  struct emuv_table t = {0};
  size_t shown = 0;
  bool yardstick = false;
  situation_columns(a, &t);
  result_columns(a, &t);
  emuv_table_column(&t, "all in VRAM", EMUV_TABLE_RIGHT | EMUV_TABLE_FILLED | EMUV_TABLE_OPTIONAL);
  emuv_table_column(&t, "foreseen*", EMUV_TABLE_RIGHT | EMUV_TABLE_FILLED | EMUV_TABLE_OPTIONAL);
  for (const struct situation *s = a->situations; s && shown < MAX_LINES; s = s->hh.next) {
    if (!s->best && s->resident) continue; /* nothing but the reference was asked for */
    add_best(a, s, &t);
    yardstick |= s->best && s->best->yardstick;
    shown++;
  }
  int rc = emuv_table_print(&t, out, width, err);
  if (!rc && a->n_situations > MAX_LINES)
    fprintf(out, "... and %zu more situations in the database\n", a->n_situations - MAX_LINES);
  if (!rc && (yardstick || emuv_table_shows(&t, t.n_columns - 1, width))) fputs(foresight, out);
  emuv_table_free(&t);
  return rc;
}

/* By situation, then the fastest first; ties in the order of the scenario. */
static int order_of_ways(struct way *x, struct way *y)
{
  if (x->situation != y->situation) return x->situation->ordinal < y->situation->ordinal ? -1 : 1;
  if (x->best->ok != y->best->ok) return x->best->ok ? -1 : 1;
  if (x->best->rate != y->best->rate) return x->best->rate > y->best->rate ? -1 : 1;
  return x->best < y->best ? -1 : 1;
}

static int print_sides(struct answer *a, FILE *out, int width, struct emuv_err *err)
{
  struct emuv_table t = {0};
  bool yardstick = false;
  situation_columns(a, &t);
  result_columns(a, &t);
  HASH_SRT(hh, a->ways, order_of_ways);
  for (const struct way *w = a->ways; w; w = w->hh.next) {
    situation_cells(a, w->best, &t);
    result_cells(a, w->best, &t);
    yardstick |= w->best->ok && w->best->yardstick;
  }
  int rc = emuv_table_print(&t, out, width, err);
  if (!rc && yardstick) fputs(foresight, out);
  emuv_table_free(&t);
  return rc;
}

static bool is_constant(const struct answer *a, const char *key)
{
  for (size_t i = 0; i < a->n_varying; i++)
    if (strcmp(a->varying[i]->key, key) == 0) return false;
  return true;
}

/* The same in all rows, and not what everybody has. */
static bool is_worth_telling(const struct answer *a, const struct emuv_option *key)
{
  static const char *const always[] = {"hw.preset", "context", "batch", NULL};
  if (!is_constant(a, key->key)) return false;
  for (size_t i = 1; i < a->n_rows; i++)
    if (!emuv_key_same(key, a->configs[0], a->configs[i])) return false;
  for (size_t i = 0; always[i]; i++)
    if (strcmp(always[i], key->key) == 0) return true;
  return !emuv_key_is_default(key, a->configs[0]);
}

static bool is_transformer(const struct answer *a)
{
  return is_constant(a, "source") && strcmp(a->rows[0].config->source, "transformer") == 0;
}

/* A line of parts with commas, broken where it is too wide. */
struct line {
  FILE *out;
  int width, used;
  const char *gap;
};

static void add_part(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_part(struct line *l, const char *fmt, ...)
{
  char part[TEXT + 64];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(part, sizeof part, fmt, args);
  va_end(args);
  bool fits = !l->width || l->used + (int)strlen(l->gap) + n <= l->width;
  l->used = fits ? l->used + (int)strlen(l->gap) + n : n + 2;
  fprintf(l->out, "%s%s", fits ? l->gap : l->gap[0] == ',' ? ",\n  " : "\n  ", part);
  l->gap = ", ";
}

/* "llama70b: llama-2-70b, needs 130 GiB, hardware rtx-4090, context 4096, batch 1": what all rows have in common and a
 * reader wants to know. */
static void print_heading(const struct answer *a, FILE *out, int width)
{
  static const char *const wanted[] = {"hw.preset", "vram", "ram", "page_size", "weight_bits", "context", "batch"};
  enum { N_WANTED = sizeof wanted / sizeof wanted[0], N_ANY_SOURCE = 4 };
  size_t n, same = 1, needs = 1, n_wanted = is_transformer(a) ? N_WANTED : N_ANY_SOURCE;
  const struct emuv_option *options = emuv_config_options(&n);
  const struct row *row = &a->rows[0];
  struct line l = {.out = out, .width = width, .gap = " "};
  char value[TEXT];
  l.used = fprintf(out, "%s:", row->config->scenario);
  while (same < a->n_rows && strcmp(a->rows[same].workload, row->workload) == 0) same++;
  while (needs < a->n_rows && a->rows[needs].footprint == row->footprint) needs++;
  if (same == a->n_rows) add_part(&l, "%s", short_workload(row));
  if (needs == a->n_rows) add_part(&l, "needs %s", emuv_units_human_bytes((double)row->footprint, value, sizeof value));
  for (size_t i = 0; i < n_wanted; i++) {
    const struct emuv_option *key = emuv_option_find(options, n, wanted[i]);
    if (key && is_worth_telling(a, key))
      add_part(&l, "%s %s", emuv_key_name(key), emuv_key_value(key, row->config, value, sizeof value));
  }
  fputc('\n', out);
}

/* Why configurations cannot run: the first reason of each strategy. */
static void print_failures(const struct answer *a, FILE *out)
{
  const struct row *shown[MAX_REASONS];
  size_t failed = 0, n_shown = 0;
  for (size_t i = 0; i < a->n_rows; i++) {
    size_t at = 0;
    if (a->rows[i].ok) continue;
    failed++;
    while (at < n_shown && strcmp(shown[at]->config->strategy, a->rows[i].config->strategy) != 0) at++;
    if (at == n_shown && n_shown < MAX_REASONS) shown[n_shown++] = &a->rows[i];
  }
  if (!failed) return;
  fprintf(out, "%zu of %zu configurations cannot run; column status says why:\n", failed, a->n_rows);
  for (size_t i = 0; i < n_shown; i++) {
    const struct emuv_config *c = shown[i]->config;
    bool named = strncmp(shown[i]->status, c->strategy, strlen(c->strategy)) == 0;
    fprintf(out, "  %s%s%s\n", named ? "" : c->strategy, named ? "" : ": ", shown[i]->status);
  }
}

static void release(struct answer *a)
{
  struct situation *s = a->situations;
  struct way *w = a->ways;
  HASH_CLEAR(hh, a->situations); /* frees the tables; the entries stay linked */
  HASH_CLEAR(hh, a->ways);
  while (s) {
    struct situation *rest = s->hh.next;
    free(s);
    s = rest;
  }
  while (w) {
    struct way *rest = w->hh.next;
    free(w);
    w = rest;
  }
  free(a->rows);
  free(a->configs);
}

int emuv_report_table(struct emuv_results *results, const struct emuv_scenario *scenario, const char *kind, FILE *out,
                      int width, struct emuv_err *err)
{
  struct answer a = {.scenario = scenario};
  int rc = read_rows(&a, results, kind, err);
  if (!rc) rc = find_situations(&a, err);
  if (!rc) rc = find_keys(&a, err);
  a.sides = a.n_ways <= MAX_WAYS;
  if (!rc && a.n_rows) {
    print_heading(&a, out, width);
    rc = a.sides ? print_sides(&a, out, width, err) : print_best(&a, out, width, err);
  }
  if (!rc) print_failures(&a, out);
  if (!rc && (fflush(out) != 0 || ferror(out))) rc = emuv_err_errno(err, EMUV_ERR_IO, "cannot write the table");
  release(&a);
  return rc;
}
