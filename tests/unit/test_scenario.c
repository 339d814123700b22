// SPDX-License-Identifier: Apache-2.0
/* Scenarios: order of crossing, precedence, presets, paths, canonical form and hashes. */
#include "simulator/scenario.h"
#include "simulator/scenario_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GiB (UINT64_C(1) << 30)

static struct emuv_scenario parse(const char *text, const char *const *overrides, size_t n)
{
  struct emuv_scenario s;
  struct emuv_err err;
  if (emuv_scenario_parse("dir/s.yaml", text, strlen(text), overrides, n, &s, &err) != 0)
    fail_msg("%s:%ld:%ld %s", err.file, err.line, err.column, err.text);
  return s;
}

/* The only configuration of a scenario. */
static struct emuv_config one(const char *text)
{
  struct emuv_scenario s = parse(text, NULL, 0);
  assert_int_equal(s.n_configs, 1);
  struct emuv_config config = s.configs[0];
  emuv_scenario_free(&s);
  return config;
}

static struct emuv_config overridden(const char *text, const char *override)
{
  struct emuv_scenario s = parse(text, &override, 1);
  assert_int_equal(s.n_configs, 1);
  struct emuv_config config = s.configs[0];
  emuv_scenario_free(&s);
  return config;
}

static void assert_same_hash(const char *a, const char *b, bool same)
{
  struct emuv_config x = one(a), y = one(b);
  char p[33], q[33];
  emuv_config_hash(&x, 0, p);
  emuv_config_hash(&y, 0, q);
  if ((strcmp(p, q) == 0) != same) fail_msg("%s and %s: %s and %s", a, b, p, q);
}

/* "batch/seed" of every configuration, in order. */
static void assert_order(const struct emuv_scenario *s, const char *expected)
{
  char text[400] = "";
  for (size_t i = 0; i < s->n_configs; i++)
    (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d/%d", i > 0 ? " " : "",
                   (int)s->configs[i].batch, (int)s->configs[i].seed);
  assert_string_equal(text, expected);
}

static void the_last_list_varies_fastest(void **state)
{
  (void)state;
  struct emuv_scenario s = parse("batch: [1, 2]\nseed: [1, 2, 3]\n", NULL, 0);
  assert_order(&s, "1/1 1/2 1/3 2/1 2/2 2/3");
  emuv_scenario_free(&s);
  s = parse("seed: [1, 2, 3]\nbatch: [1, 2]\n", NULL, 0);
  assert_order(&s, "1/1 2/1 1/2 2/2 1/3 2/3");
  emuv_scenario_free(&s);
}

static void an_empty_map_is_the_defaults(void **state)
{
  (void)state;
  struct emuv_config c = one("{}"), d;
  assert_int_equal(emuv_config_defaults(&d, NULL), 0);
  assert_int_equal(c.page_size, d.page_size);
  assert_int_equal(c.context, d.context);
  assert_string_equal(c.strategy, "paged");
  assert_string_equal(c.scenario, "s");
  assert_int_equal(c.vram, 16 * GiB); /* the card's */
}

static void sweep_blocks_are_crossed_one_by_one(void **state)
{
  (void)state;
  static const char text[] =
      "batch: [1, 2]\nseed: 7\nsweep:\n  - seed: [1, 2]\n  - {batch: 9}\n  - {seed: 1, batch: 2}\n";
  struct emuv_scenario s = parse(text, NULL, 0);
  /* The last block repeats a row of the first. */
  assert_order(&s, "1/1 1/2 2/1 2/2 9/7");
  emuv_scenario_free(&s);
}

static void overrides_replace_everywhere(void **state)
{
  (void)state;
  static const char text[] = "batch: [1, 2]\nsweep:\n  - seed: [1, 2]\n  - {batch: 9}\n";
  static const char *const seed[] = {"seed=5"};
  static const char *const both[] = {"seed=5", "batch= 3, 4 ", "seed=6"};
  struct emuv_scenario s = parse(text, seed, 1);
  assert_order(&s, "1/5 2/5 9/5");
  emuv_scenario_free(&s);
  s = parse(text, both, 3);
  assert_order(&s, "3/6 4/6");
  emuv_scenario_free(&s);
}

static void explicit_keys_win_over_presets_in_any_order(void **state)
{
  (void)state;
  static const char *const texts[] = {
      "hardware: other-card\nmodel: tiny-model\nhw.vram_rate: 2TB/s\nmodel.layers: 5\n",
      "hw.vram_rate: 2TB/s\nmodel.layers: 5\nhardware: other-card\nmodel: tiny-model\n",
      "hardware: {vram_rate: 2TB/s, preset: other-card}\nmodel: {layers: 5, preset: tiny-model}\n",
      "hw: {preset: other-card}\nsweep: [{hardware: {vram_rate: 2TB/s}, model: {layers: 5, preset: tiny-model}}]\n",
      ("hw.vram_rate: 1B/s\nmodel: tiny-model\nmodel.layers: 5\nhardware: test-card\n"
       "sweep: [{hardware: {vram_rate: 2TB/s, preset: other-card}}]\n"),
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct emuv_config c = one(texts[i]);
    assert_string_equal(c.hw.preset, "other-card");
    assert_string_equal(c.hw.gpu, "Other Card");
    assert_int_equal(c.hw.vram, 8 * GiB);
    assert_true(c.hw.vram_rate == 2e12);
    assert_string_equal(c.model.preset, "tiny-model");
    assert_int_equal(c.model.layers, 5);
    assert_int_equal(c.model.hidden, 64);
  }
}

static void presets_are_axes(void **state)
{
  (void)state;
  struct emuv_scenario s = parse("hardware: [test-card, other-card]\nbatch: [1, 2]\n", NULL, 0);
  assert_int_equal(s.n_configs, 4);
  assert_int_equal(s.configs[1].hw.vram, 16 * GiB);
  assert_int_equal(s.configs[2].hw.vram, 8 * GiB);
  assert_int_equal(s.configs[2].vram, 8 * GiB);
  emuv_scenario_free(&s);
}

static void an_overriding_preset_keeps_explicit_keys(void **state)
{
  (void)state;
  struct emuv_config c = overridden("hardware: test-card\nhw.vram_rate: 2TB/s\n", "hardware=other-card");
  assert_int_equal(c.hw.vram, 8 * GiB);
  assert_true(c.hw.vram_rate == 2e12);
  c = overridden("hardware: test-card\nhw.vram_rate: 2TB/s\n", "hardware.vram_rate=3TB/s");
  assert_true(c.hw.vram_rate == 3e12);
}

static void missing_sizes_of_a_model_follow_from_the_others(void **state)
{
  (void)state;
  struct emuv_config c = one("model: tiny-model\n");
  assert_int_equal(c.model.kv_heads, 4);
  assert_int_equal(c.model.head_dim, 16);
}

static void a_trace_or_a_pattern_says_the_source(void **state)
{
  (void)state;
  assert_string_equal(one("pattern: zipf\n").source, "pattern");
  assert_string_equal(one("pattern.objects: 5\n").source, "pattern");
  assert_string_equal(one("pattern: {kind: zipf, objects: 5}\n").pattern.kind, "zipf");
  assert_string_equal(one("trace: " EMUV_TEST_DIR "/CMakeLists.txt\n").source, "trace");
  assert_string_equal(one("source: transformer\npattern: zipf\n").source, "transformer");
}

static void keys_that_the_strategy_ignores_are_fixed(void **state)
{
  (void)state;
  static const struct {
    const char *strategy, *policy, *prefetch;
  } cases[] = {
      {"resident", "static", "none"}, {"uva", "static", "none"}, {"layer-offload", "static", "none"},
      {"stream", "static", "none"},   {"um", "lru", "none"},     {"emuv", "auto", "auto"},
      {"paged", "fifo", "next-n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[300];
    (void)snprintf(text, sizeof text,
                   "strategy: %s\npolicy: fifo\nprefetch: next-n\npage_size: 64KiB\nlookahead: 1GiB\ncoalesce: 1MiB\n"
                   "pin: kv\n",
                   cases[i].strategy);
    struct emuv_config c = one(text);
    const bool paged = strcmp(c.strategy, "paged") == 0, um = strcmp(c.strategy, "um") == 0;
    assert_string_equal(c.policy, cases[i].policy);
    assert_string_equal(c.prefetch, cases[i].prefetch);
    assert_int_equal(c.page_size, um ? 2 << 20 : 64 << 10);
    assert_int_equal(c.lookahead, paged ? GiB : 0);
    assert_int_equal(c.coalesce, paged ? 1 << 20 : 0);
    assert_string_equal(c.pin, paged ? "kv" : "none");
  }
}

static void equal_work_has_one_row(void **state)
{
  (void)state;
  struct emuv_scenario s = parse("strategy: [uva, paged]\npolicy: [lru, fifo]\nprefetch: [none, next-n]\n", NULL, 0);
  assert_int_equal(s.n_configs, 5);
  assert_string_equal(s.configs[0].strategy, "uva");
  for (size_t i = 1; i < 5; i++) assert_string_equal(s.configs[i].strategy, "paged");
  emuv_scenario_free(&s);
  s = parse("page_size: [2MiB, 2048KiB, 2097152]\nvram: [0, 16GiB]\n", NULL, 0);
  assert_int_equal(s.n_configs, 1);
  emuv_scenario_free(&s);
}

static void check_pair(const char *text, const char *policy, const char *prefetch)
{
  struct emuv_scenario s = parse(text, NULL, 0);
  assert_int_equal(s.n_configs, 1);
  assert_string_equal(s.configs[0].policy, policy);
  assert_string_equal(s.configs[0].prefetch, prefetch);
  emuv_scenario_free(&s);
}

/* The recommended pair, unless a policy is named: then that one alone. */
static void the_default_pair(void **state)
{
  (void)state;
  check_pair("{}", "recur", "learned");
  check_pair("policy: lru\n", "lru", "none");
  check_pair("policy: recur\n", "recur", "none");
  check_pair("prefetch: oracle\n", "recur", "oracle");
  check_pair("policy: belady\nprefetch: learned\n", "belady", "learned");
  check_pair("policy: lru\nsweep:\n  - vram: 1GiB\n", "lru", "none");
  assert_same_hash("policy: lru\n", "policy: lru\nprefetch: none\n", true);
  assert_same_hash("{}", "policy: recur\nprefetch: learned\n", true);
}

static void hashes_see_values_and_not_names(void **state)
{
  (void)state;
  assert_same_hash("{}", "scenario: x\ndescription: y\nhw.gpu: z\nhw.link: w\n", true);
  assert_same_hash("hardware: test-card\n", "hardware: rtx-4090\n", true); /* the same values in these presets */
  assert_same_hash("vram: 16GiB\n", "{}", true);
  assert_same_hash("hardware: test-card\n", "hardware: other-card\n", false);
  assert_same_hash("pattern: zipf\n", "pattern: zipf\ncontext: 5\nbatch: 3\nmodel: tiny-model\n", true);
  assert_same_hash("source: transformer\n", "source: transformer\npattern: zipf\n", true);
  assert_same_hash("pattern: zipf\n", "pattern: cyclic\n", false);
  assert_same_hash("strategy: uva\n", "strategy: uva\nslice: 1MiB\nwrite: through\n", true);
  assert_same_hash("slice: 32MiB\n", "slice: 1MiB\n", false);
  assert_same_hash("strategy: paged\n", "strategy: paged\nplans: paging\n", true);
  assert_same_hash("strategy: emuv\n", "strategy: emuv\nplans: paging\n", false);
}

/* Every hashed key changes the hash, and only those: a value that is one step away from the default. */
static void every_hashed_key_changes_the_hash(void **state)
{
  (void)state;
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  static const char *const others[] = {"12345678",  "3",      "2",          "0.5",    "1.5",  "123us",  "77GB/s",
                                       "99TFLOP/s", "true",   "through",    "kv",     "fifo", "next-n", "uva",
                                       "pattern",   "random", "read-write", "paging", "text"};
  for (size_t i = 0; i < n; i++) {
    struct emuv_config a, b;
    char p[33], q[33];
    size_t j = 0;
    assert_int_equal(emuv_config_defaults(&a, NULL), 0);
    b = a;
    while (memcmp(&a, &b, sizeof a) == 0) {
      if (j == sizeof others / sizeof others[0]) fail_msg("no other value for %s", table[i].key);
      (void)emuv_option_parse(&table[i], &b, others[j++], NULL);
    }
    emuv_config_hash(&a, 0, p);
    emuv_config_hash(&b, 0, q);
    if ((strcmp(p, q) == 0) != ((table[i].flags & EMUV_OPTION_NO_HASH) != 0)) fail_msg("%s", table[i].key);
  }
}

static void the_content_of_the_trace_is_part_of_the_hash(void **state)
{
  (void)state;
  struct emuv_config c = one("{}");
  char a[33], b[33];
  emuv_config_hash(&c, 1, a);
  emuv_config_hash(&c, 2, b);
  assert_string_not_equal(a, b);
  assert_int_equal(strlen(a), 32);
  assert_int_equal(strspn(a, "0123456789abcdef"), 32);
}

/* The canonical text is what is hashed; it must never be cut. */
/* Keys that came later leave the hashes of older rows alone. */
static void added_keys_are_not_hashed_by_default(void **state)
{
  (void)state;
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  struct emuv_config c;
  char text[32768], line[128];
  assert_int_equal(emuv_config_defaults(&c, NULL), 0);
  (void)emuv_config_text(&c, text, sizeof text);
  for (size_t i = 0; i < n; i++) {
    (void)snprintf(line, sizeof line, "\n%s=", table[i].key);
    if (table[i].flags & EMUV_OPTION_ADDED && strstr(text, line)) fail_msg("%s is hashed", table[i].key);
  }
  assert_non_null(strstr(text, "\npage_size="));
}

/* A preset that knows the way to another GPU is the same hardware for those who do not take it. */
static void a_link_that_is_not_used_is_not_hashed(void **state)
{
  (void)state;
  struct emuv_config with, without;
  char a[33], b[33];
  assert_int_equal(emuv_config_defaults(&without, NULL), 0);
  with = without;
  with.hw.peer = (struct emuv_curve){.n = 1, .point = {{.bytes = 4096, .bytes_per_s = 1e9}}};
  for (int used = 0; used < 2; used++) {
    struct emuv_config c = with, d = without;
    c.peer = d.peer = used ? 1 << 30 : 0;
    emuv_config_canonical(&c);
    emuv_config_canonical(&d);
    emuv_config_hash(&c, 0, a);
    emuv_config_hash(&d, 0, b);
    assert_int_equal(strcmp(a, b) != 0, used);
  }
}

static void canonical_text_holds_every_hashed_key(void **state)
{
  (void)state;
  size_t n, size = 1 << 16, lines = 0, hashed = 0;
  const struct emuv_option *table = emuv_config_options(&n);
  struct emuv_config c;
  assert_int_equal(emuv_config_defaults(&c, NULL), 0);
  struct emuv_curve *curves[] = {&c.hw.h2d,         &c.hw.d2h,         &c.hw.nvme_read, &c.hw.nvme_write,
                                 &c.hw.h2d_batched, &c.hw.d2h_batched, &c.hw.peer};
  for (size_t k = 0; k < sizeof curves / sizeof *curves; k++)
    for (curves[k]->n = 0; curves[k]->n < EMUV_CURVE_POINTS; curves[k]->n++) {
      curves[k]->point[curves[k]->n].bytes = (UINT64_C(1) << 61) + curves[k]->n;
      curves[k]->point[curves[k]->n].bytes_per_s = 1.2345678901234567e-300;
    }
  strcpy(c.unknown_access, "read-write"); /* added later: hashed when it is not the default */
  strcpy(c.plans, "paging");
  c.peer = 1;
  double *times[] = {&c.hw.kernel_gap,  &c.hw.kernel_min,        &c.hw.kernel_wide, &c.hw.kernel_wait,
                     &c.hw.kernel_busy, &c.hw.kernel_write_rate, &c.hw.kernel_host, &c.hw.page_host,
                     &c.hw.copy_host,   &c.hw.piece_host};
  for (size_t k = 0; k < sizeof times / sizeof *times; k++) *times[k] = 1.2345678901234567e-300;
  char *text = malloc(size);
  size_t used = emuv_config_text(&c, text, size);
  for (size_t i = 0; i < used; i++) lines += text[i] == '\n';
  for (size_t i = 0; i < n; i++) hashed += (table[i].flags & EMUV_OPTION_NO_HASH) == 0;
  free(text);
  assert_int_equal(lines, hashed);
  assert_true(used < 32000); /* the buffer of emuv_config_hash */
}

static void loading_is_deterministic(void **state)
{
  (void)state;
  static const char text[] = "batch: [1, 2]\npolicy: [lru, fifo]\nhardware: [test-card, other-card]\n";
  struct emuv_scenario a = parse(text, NULL, 0), b = parse(text, NULL, 0);
  assert_int_equal(a.n_configs, 8);
  assert_int_equal(a.n_configs, b.n_configs);
  assert_memory_equal(a.configs, b.configs, a.n_configs * sizeof *a.configs);
  emuv_scenario_free(&a);
  emuv_scenario_free(&b);
}

static void write_file(const char *path, const char *text)
{
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

/* A folder with sub/s.yaml, sub/here.emuv, sub/card.yaml, and cwd.emuv in the folder, which becomes the current one. */
static void make_folder(char *folder)
{
  assert_non_null(mkdtemp(folder));
  assert_int_equal(chdir(folder), 0);
  assert_int_equal(mkdir("sub", 0700), 0);
  write_file("sub/s.yaml", "trace: [here.emuv, cwd.emuv]\nhardware: ./card.yaml\nvram: 1GiB\n");
  write_file("sub/here.emuv", "");
  write_file("cwd.emuv", "");
  write_file("sub/card.yaml", "vram: 2GiB\nvram_rate: 1TB/s\nh2d: 1GB/s\nd2h: 1GB/s\n");
}

static void remove_folder(const char *folder)
{
  static const char *const files[] = {"sub/s.yaml", "sub/here.emuv", "cwd.emuv", "sub/card.yaml"};
  for (size_t i = 0; i < 4; i++) assert_int_equal(unlink(files[i]), 0);
  assert_int_equal(rmdir("sub"), 0);
  assert_int_equal(chdir("/"), 0);
  assert_int_equal(rmdir(folder), 0);
}

static void paths_are_relative_to_the_scenario_then_to_the_current_directory(void **state)
{
  (void)state;
  char folder[] = "/tmp/emuv-test-XXXXXX";
  static const char *const override[] = {"trace=sub/here.emuv"}, *const wrong[] = {"trace=here.emuv"};
  struct emuv_scenario s;
  struct emuv_err err;
  make_folder(folder);
  if (emuv_scenario_load("sub/s.yaml", NULL, 0, &s, &err) != 0) fail_msg("%s", err.text);
  assert_int_equal(s.n_configs, 2);
  assert_string_equal(s.path, "sub/s.yaml");
  assert_string_equal(s.configs[0].trace, "sub/here.emuv");
  assert_string_equal(s.configs[1].trace, "cwd.emuv");
  assert_int_equal(s.configs[0].hw.vram, 2 * GiB);
  assert_string_equal(s.configs[0].hw.preset, "card");
  emuv_scenario_free(&s);
  assert_int_equal(emuv_scenario_load("sub/s.yaml", override, 1, &s, &err), 0);
  assert_string_equal(s.configs[0].trace, "sub/here.emuv");
  emuv_scenario_free(&s);
  assert_int_equal(emuv_scenario_load("sub/s.yaml", wrong, 1, &s, &err), EMUV_ERR_USAGE);
  remove_folder(folder);
}

static int use_test_presets(void **state)
{
  (void)state;
  return setenv("EMUV_DATA_DIR", EMUV_TEST_DIR "/unit/data", 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_last_list_varies_fastest),
      cmocka_unit_test(an_empty_map_is_the_defaults),
      cmocka_unit_test(sweep_blocks_are_crossed_one_by_one),
      cmocka_unit_test(overrides_replace_everywhere),
      cmocka_unit_test(explicit_keys_win_over_presets_in_any_order),
      cmocka_unit_test(presets_are_axes),
      cmocka_unit_test(an_overriding_preset_keeps_explicit_keys),
      cmocka_unit_test(missing_sizes_of_a_model_follow_from_the_others),
      cmocka_unit_test(a_trace_or_a_pattern_says_the_source),
      cmocka_unit_test(keys_that_the_strategy_ignores_are_fixed),
      cmocka_unit_test(equal_work_has_one_row),
      cmocka_unit_test(the_default_pair),
      cmocka_unit_test(hashes_see_values_and_not_names),
      cmocka_unit_test(every_hashed_key_changes_the_hash),
      cmocka_unit_test(the_content_of_the_trace_is_part_of_the_hash),
      cmocka_unit_test(added_keys_are_not_hashed_by_default),
      cmocka_unit_test(a_link_that_is_not_used_is_not_hashed),
      cmocka_unit_test(canonical_text_holds_every_hashed_key),
      cmocka_unit_test(loading_is_deterministic),
      cmocka_unit_test(paths_are_relative_to_the_scenario_then_to_the_current_directory),
  };
  return cmocka_run_group_tests(tests, use_test_presets, NULL);
}
