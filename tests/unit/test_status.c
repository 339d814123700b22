// SPDX-License-Identifier: Apache-2.0
/* The status page: what one process publishes, another reads, whole and never torn; what is not known stays unknown. */
#include "runtime/core/status.h"
#include "runtime/top/view.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct emuv_status sample(uint64_t n)
{
  struct emuv_status s = {.program = "emuv-replay", .title = "a trace", .device = "GPU", .policy = "lru"};
  s.page_bytes = 2 << 20;
  s.start_ns = 1000000000;
  s.updated_ns = s.start_ns + n * 1000000000;
  s.accesses = 100 * n;
  s.hits = 75 * n;
  s.faults = 25 * n;
  s.mismatches = n; /* last and first counters agree in a whole reading */
  s.compute_ns = 250000000 * n;
  s.stall_ns = EMUV_STATUS_UNKNOWN;
  s.tier[0] = (struct emuv_status_tier){.name = "vram", .capacity_bytes = 1 << 30, .used_bytes = 1 << 29};
  s.tier[0].dirty_bytes = EMUV_STATUS_UNKNOWN;
  s.link[0] = (struct emuv_status_link){.name = "ram > vram", .bytes = 50000000000u * n, .busy_ns = 900000000u * n};
  return s;
}

/* A child that publishes `sample(n)` for n = 1, 2, ... until it is killed; n = last when last > 0. */
static pid_t publisher(uint64_t last)
{
  int ready[2];
  assert_int_equal(pipe(ready), 0);
  pid_t pid = fork();
  if (pid == 0) {
    struct emuv_status_page *page;
    if (emuv_status_create(&page, NULL)) _exit(1);
    for (uint64_t n = 1;; n++) {
      struct emuv_status s = sample(last ? last : n);
      emuv_status_publish(page, &s);
      if (n == 1 && write(ready[1], "", 1) != 1) _exit(1);
      if (last) pause();
    }
  }
  char byte;
  assert_int_equal(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  close(ready[1]);
  return pid;
}

static void end(pid_t pid)
{
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

static bool is_found(pid_t pid)
{
  int pids[256];
  int n = emuv_status_find(pids, 256, NULL);
  for (int i = 0; i < n && i < 256; i++)
    if (pids[i] == pid) return true;
  return false;
}

static void what_is_published_is_read(void **state)
{
  (void)state;
  struct emuv_status s;
  pid_t pid = publisher(7);
  assert_true(is_found(pid));
  assert_int_equal(emuv_status_read(pid, &s, NULL), 0);
  struct emuv_status expected = sample(7);
  assert_memory_equal(&s, &expected, sizeof s);
  end(pid);
}

static void readings_are_whole(void **state)
{
  (void)state;
  pid_t pid = publisher(0);
  for (int i = 0; i < 300; i++) {
    struct emuv_status s;
    assert_int_equal(emuv_status_read(pid, &s, NULL), 0);
    assert_int_equal(s.accesses, 100 * s.mismatches);
    assert_int_equal(s.link[0].bytes, 50000000000u * s.mismatches);
  }
  end(pid);
}

static void a_killed_process_leaves_nothing(void **state)
{
  (void)state;
  struct emuv_status s;
  pid_t pid = publisher(1);
  end(pid);
  assert_false(is_found(pid));
  assert_int_equal(emuv_status_read(pid, &s, NULL), EMUV_ERR_NODEV);
}

static void a_closed_page_is_gone(void **state)
{
  (void)state;
  struct emuv_status_page *page;
  struct emuv_status s = sample(1);
  emuv_status_publish(NULL, &s); /* a program that could make none goes on */
  emuv_status_close(NULL);
  assert_int_equal(emuv_status_create(&page, NULL), 0);
  assert_true(is_found(getpid()));
  emuv_status_close(page);
  assert_false(is_found(getpid()));
}

/* A memfd of the right name whose content is not ours. */
static void strangers_are_refused(void **state)
{
  (void)state;
  struct emuv_status s;
  struct emuv_err err;
  int fd = memfd_create("emuv-status", MFD_ALLOW_SEALING);
  assert_true(fd >= 0);
  assert_int_equal(emuv_status_read(getpid(), &s, &err), EMUV_ERR_UNSUPPORTED); /* could shrink under a reader */
  assert_int_equal(ftruncate(fd, 1 << 16), 0);
  assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
  assert_int_equal(emuv_status_read(getpid(), &s, &err), EMUV_ERR_UNSUPPORTED); /* no magic */
  close(fd);
}

static void rates_are_differences(void **state)
{
  (void)state;
  struct emuv_status before = sample(2), now = sample(4);
  struct emuv_rates r;
  emuv_rates_between(&before, &now, &r);
  assert_float_equal(r.seconds, 2, 1e-9);
  assert_float_equal(r.faults, 25, 1e-9);
  assert_float_equal(r.hit_share, 0.75, 1e-9);
  assert_float_equal(r.link[0].bytes_per_s, 50e9, 1);
  assert_float_equal(r.link[0].busy, 0.9, 1e-9);
  assert_float_equal(r.compute_share, 0.25, 1e-9);
  assert_true(isnan(r.stall_share)); /* unknown */
  emuv_rates_between(&now, &now, &r);
  assert_true(isnan(r.faults)); /* nothing new was published */
  emuv_rates_between(NULL, &now, &r);
  assert_float_equal(r.seconds, 4, 1e-9);
}

static void unknown_is_no_number(void **state)
{
  (void)state;
  struct emuv_top_program p = {.pid = 42, .status = sample(4)};
  struct emuv_status before = sample(3);
  emuv_rates_between(&before, &p.status, &p.rates);
  json_t *json = emuv_top_json(&p);
  assert_non_null(json);
  const json_t *tier = json_array_get(json_object_get(json, "tiers"), 0);
  assert_true(json_is_null(json_object_get(tier, "dirty_bytes")));
  assert_int_equal(json_integer_value(json_object_get(tier, "pinned_bytes")), 0);
  assert_true(json_is_null(json_object_get(json_object_get(json, "rates"), "stall_share")));
  assert_int_equal(json_array_size(json_object_get(json, "tiers")), 1);
  json_decref(json);
}

static char *printed(int width)
{
  struct emuv_top_program p = {.pid = 42, .status = sample(4)};
  char *text = NULL;
  size_t bytes;
  FILE *out = open_memstream(&text, &bytes);
  emuv_rates_between(NULL, &p.status, &p.rates);
  emuv_top_print(&p, width, out);
  fclose(out);
  return text;
}

static void lines_fit_the_width(void **state)
{
  (void)state;
  char *wide = printed(120), *narrow = printed(50);
  assert_non_null(strstr(wide, "50.0 GB/s"));
  assert_non_null(strstr(wide, "pinned"));
  assert_non_null(strstr(narrow, "ram > vram"));
  assert_null(strstr(narrow, "pinned")); /* cut */
  for (char *line = narrow; *line; line = strchr(line, '\n') + 1) assert_true(strcspn(line, "\n") <= 50);
  free(wide);
  free(narrow);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_published_is_read),
      cmocka_unit_test(readings_are_whole),
      cmocka_unit_test(a_killed_process_leaves_nothing),
      cmocka_unit_test(a_closed_page_is_gone),
      cmocka_unit_test(strangers_are_refused),
      cmocka_unit_test(rates_are_differences),
      cmocka_unit_test(unknown_is_no_number),
      cmocka_unit_test(lines_fit_the_width),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
