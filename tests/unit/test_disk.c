// SPDX-License-Identifier: Apache-2.0
/* Disks of slots (runtime/device/disk.h): random requests against a model in memory over every back end, each fault on
 * purpose, no space, what cannot be opened, and that nothing is left behind, after SIGKILL neither. */
#include "tests/unit/disk_world.h"

enum { KIB = 1024, SECOND = 1000000000 };

/* One request, to its end. */
static struct emuv_disk_result transfer(struct world *w, bool write, uint32_t slot, void *memory)
{
  const struct emuv_disk_request r = {
      .write = write, .slot = slot, .bytes = w->slot_bytes, .memory = memory, .tag = slot + 7};
  struct emuv_disk_result result = {0};
  struct emuv_err err;
  assert_int_equal(emuv_disk_submit(w->disk, &r, 1, &err), 1);
  for (int i = 0; i < 60; i++) {
    const int64_t n = emuv_disk_poll(w->disk, &result, 1, SECOND, &err);
    if (n < 0) fail_msg("%s", err.text);
    if (n == 1) break;
  }
  assert_int_equal(result.tag, slot + 7);
  assert_true(result.start_ns > 0 && result.end_ns >= result.start_ns);
  return result;
}

static struct emuv_disk_info info_of(const struct world *w)
{
  struct emuv_disk_info info;
  emuv_disk_info(w->disk, &info);
  return info;
}

/* The model: version and length of what was written into each slot last; a slot has one request in flight at most. */
struct model {
  uint32_t version[40];
  uint64_t bytes[40];
  bool busy[40];
};

static uint32_t random_requests(struct world *w, struct model *m, struct emuv_rng *rng, bool *used,
                                struct emuv_disk_request *out)
{
  uint32_t n = 0;
  for (uint32_t i = 0; i < w->depth; i++) {
    const uint32_t slot = (uint32_t)emuv_rng_below(rng, w->n_slots);
    if (used[i] || m->busy[slot] || emuv_rng_below(rng, 3) == 0) continue;
    struct emuv_disk_request *r = &out[n++];
    *r =
        (struct emuv_disk_request){.write = m->bytes[slot] == 0 || emuv_rng_below(rng, 2) == 0, .slot = slot, .tag = i};
    r->memory = w->memory + i * w->slot_bytes;
    if (r->write) {
      m->bytes[slot] = (1 + emuv_rng_below(rng, w->slot_bytes / 4096)) * 4096;
      fill(r->memory, m->bytes[slot], slot, ++m->version[slot]);
    } else {
      memset(r->memory, 0x55, w->slot_bytes);
    }
    r->bytes = m->bytes[slot];
    m->busy[slot] = used[i] = true;
  }
  return n;
}

static void check_result(struct world *w, struct model *m, const struct emuv_disk_request *r,
                         const struct emuv_disk_result *result)
{
  assert_int_equal(result->rc, 0);
  assert_true(m->busy[r->slot]);
  if (!r->write && !holds(r->memory, r->bytes, r->slot, m->version[r->slot]))
    fail_msg("slot %u, version %u of %zu bytes: wrong contents", r->slot, m->version[r->slot], (size_t)r->bytes);
  m->busy[r->slot] = false;
  (void)w;
}

/* Until so many have been sent, and the last has come back. */
static void run_random(struct world *w, unsigned requests, uint64_t seed)
{
  struct model m = {0};
  struct emuv_rng rng;
  emuv_rng_seed(&rng, seed);
  bool used[16] = {false};
  struct emuv_disk_request sent[16], by_tag[16];
  struct emuv_disk_result results[5];
  struct emuv_err err;
  uint32_t in_flight = 0;
  for (unsigned total = 0; total < requests || in_flight > 0;) {
    const uint32_t n = total < requests ? random_requests(w, &m, &rng, used, sent) : 0;
    for (uint32_t i = 0; i < n; i++) by_tag[sent[i].tag] = sent[i];
    if (n > 0 && emuv_disk_submit(w->disk, sent, n, &err) != n) fail_msg("not all of %u requests were taken", n);
    in_flight += n;
    total += n;
    const int64_t done = emuv_disk_poll(w->disk, results, 5, emuv_rng_below(&rng, 2) * SECOND, &err);
    if (done < 0) fail_msg("%s", err.text);
    for (int64_t i = 0; i < done; i++) {
      check_result(w, &m, &by_tag[results[i].tag], &results[i]);
      used[results[i].tag] = false;
    }
    in_flight -= (uint32_t)done;
  }
}

static void random_requests_match_a_model(void **state)
{
  (void)state;
  static const uint64_t slot_bytes[] = {4 * KIB, 64 * KIB, 1280 * KIB};
  for (size_t k = 0; k < N_KINDS; k++) {
    for (size_t s = 0; s < sizeof slot_bytes / sizeof slot_bytes[0]; s++) {
      struct world w;
      open_world(&w, &kinds[k], NULL, slot_bytes[s], slot_bytes[s] < 1024 * KIB ? 40 : 12, s == 1 ? 3 : 16);
      emuv_disk_register(w.disk, w.memory, w.depth * w.slot_bytes);
      run_random(&w, slot_bytes[s] < 1024 * KIB ? 300 : 60, 11 + k);
      const struct emuv_disk_info info = info_of(&w);
      assert_true(info.requests >= 60 && info.read_bytes > 0 && info.write_bytes > 0);
      assert_true(!info.uring || kinds[k].uring);
      assert_true(!info.direct || kinds[k].direct);
      assert_int_equal(info.remark[0] == '\0', info.uring && info.direct && info.registered);
      close_world(&w);
    }
  }
}

/* More requests than the depth: the rest is not taken, and taken later. */
static void submit_takes_what_the_depth_allows(void **state)
{
  (void)state;
  struct world w;
  open_world(&w, &kinds[0], NULL, 4 * KIB, 8, 4);
  struct emuv_disk_request r[6];
  struct emuv_disk_result results[8];
  struct emuv_err err;
  for (uint32_t i = 0; i < 6; i++)
    r[i] = (struct emuv_disk_request){.write = true, .slot = i, .bytes = 4 * KIB, .memory = w.memory, .tag = i};
  assert_int_equal(emuv_disk_submit(w.disk, r, 6, &err), 4);
  assert_int_equal(emuv_disk_submit(w.disk, r + 4, 2, &err), 0);
  uint32_t done = 0;
  while (done < 4) done += (uint32_t)emuv_disk_poll(w.disk, results, 8, SECOND, &err);
  assert_int_equal(emuv_disk_submit(w.disk, r + 4, 2, &err), 2);
  while (done < 6) done += (uint32_t)emuv_disk_poll(w.disk, results, 8, SECOND, &err);
  assert_int_equal(emuv_disk_poll(w.disk, results, 8, 60ull * SECOND, &err), 0); /* nothing in flight: no wait */
  assert_int_equal(emuv_disk_submit(w.disk, r, 1, &err), 1);
  close_world(&w); /* with a request in flight */
}

static void requests_that_make_no_sense_are_refused(void **state)
{
  (void)state;
  struct world w;
  struct emuv_err err;
  open_world(&w, &kinds[1], NULL, 64 * KIB, 4, 4);
  const struct emuv_disk_request good = {.slot = 3, .bytes = 64 * KIB, .memory = w.memory};
  struct emuv_disk_request bad[] = {good, good, good, good, good};
  bad[0].slot = 4;
  bad[1].bytes = 0;
  bad[2].bytes = 128 * KIB;
  bad[3].bytes = 4097;
  bad[4].memory = w.memory + 512;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(emuv_disk_submit(w.disk, &bad[i], 1, &err), EMUV_ERR_RANGE);
  close_world(&w);
  const struct emuv_disk_env odd[] = {{.path = folder, .slot_bytes = 5000, .n_slots = 4},
                                      {.path = folder, .slot_bytes = 0, .n_slots = 4},
                                      {.path = folder, .slot_bytes = 4096, .n_slots = 0},
                                      {.path = folder, .slot_bytes = UINT64_C(1) << 50, .n_slots = 1u << 20},
                                      {.path = folder, .slot_bytes = 4096, .n_slots = 4, .depth = 1u << 20}};
  for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
    assert_int_equal(emuv_disk_open(&odd[i], &w.disk, &err), EMUV_ERR_RANGE);
}

/* Short transfers are finished: data right, and more requests to the system than there were pieces. */
static void short_transfers_are_healed(void **state)
{
  (void)state;
  static const char *const faults[] = {"nvme-read-short", "nvme-write-short", "nvme-read-short:every=3",
                                       "nvme-write-short:every=2"};
  for (size_t k = 0; k < N_KINDS; k++) {
    for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++) {
      struct world w;
      open_world(&w, &kinds[k], faults[f], 1280 * KIB, 12, 8);
      run_random(&w, 48, 5 + f);
      assert_true(info_of(&w).retries > 0);
      close_world(&w);
    }
  }
}

static void errors_are_reported_once_asked_for(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    bool write;
    int rc, system_errno;
  } cases[] = {{"nvme-read-eio:once", false, EMUV_ERR_IO, EIO},
               {"nvme-write-eio:once", true, EMUV_ERR_IO, EIO},
               {"nvme-write-enospc:once", true, EMUV_ERR_NOSPACE, ENOSPC}};
  for (size_t k = 0; k < N_KINDS; k++) {
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
      struct world w;
      open_world(&w, &kinds[k], cases[c].rule, 1536 * KIB, 4, 2);
      fill(w.memory, w.slot_bytes, 1, 1);
      struct emuv_disk_result result = transfer(&w, true, 1, w.memory);
      if (!cases[c].write) {
        assert_int_equal(result.rc, 0);
        result = transfer(&w, false, 1, w.memory);
      }
      assert_int_equal(result.rc, cases[c].rc);
      assert_int_equal(result.system_errno, cases[c].system_errno);
      fill(w.memory, w.slot_bytes, 1, 2); /* the next try works */
      assert_int_equal(transfer(&w, true, 1, w.memory).rc, 0);
      assert_int_equal(transfer(&w, false, 1, w.memory + w.slot_bytes).rc, 0);
      assert_true(holds(w.memory + w.slot_bytes, w.slot_bytes, 1, 2));
      close_world(&w);
    }
  }
}

/* Torn: success is reported, the second half of a piece is not there; the content says so. */
static void torn_transfers_lie(void **state)
{
  (void)state;
  for (size_t k = 0; k < N_KINDS; k++) {
    for (int write = 0; write < 2; write++) {
      struct world w;
      open_world(&w, &kinds[k], write ? "nvme-write-torn:once,after=1" : "nvme-read-torn:once,after=1", 64 * KIB, 4, 2);
      unsigned char *back = w.memory + w.slot_bytes;
      memset(back, 0, w.slot_bytes);
      for (uint32_t version = 1; version <= 2; version++) {
        fill(w.memory, w.slot_bytes, 1, version);
        assert_int_equal(transfer(&w, true, 1, w.memory).rc, 0);
        assert_int_equal(transfer(&w, false, 1, back).rc, 0);
        if (version == 1) assert_true(holds(back, w.slot_bytes, 1, 1));
      }
      assert_true(holds(back, w.slot_bytes / 2, 1, 2));
      assert_false(holds(back, w.slot_bytes, 1, 2));
      close_world(&w);
    }
  }
}

static void slow_requests_take_longer(void **state)
{
  (void)state;
  for (size_t k = 0; k < N_KINDS; k++) {
    struct world w;
    open_world(&w, &kinds[k], "nvme-slow:for=30ms", 64 * KIB, 4, 2);
    fill(w.memory, w.slot_bytes, 0, 1);
    const struct emuv_disk_result result = transfer(&w, true, 0, w.memory);
    assert_int_equal(result.rc, 0);
    assert_true(result.end_ns - result.start_ns >= 30e6);
    close_world(&w);
  }
}

static void full_disks_tell_how_much_fits(void **state)
{
  (void)state;
  struct emuv_inject *inject = NULL;
  struct emuv_disk *disk = NULL;
  struct emuv_err err;
  uint32_t reserved = 0;
  const char *const rules[] = {"nvme-reserve:once,after=5"};
  assert_int_equal(emuv_inject_open(rules, 1, 1, &inject, &err), 0);
  const struct emuv_disk_env env = {.path = folder, .slot_bytes = 4 * KIB, .n_slots = 10, .inject = inject};
  assert_int_equal(emuv_disk_open(&env, &disk, &err), 0);
  assert_int_equal(emuv_disk_reserve(disk, 3, &reserved, &err), 0);
  assert_int_equal(reserved, 3);
  assert_int_equal(emuv_disk_reserve(disk, 10, &reserved, &err), EMUV_ERR_NOSPACE);
  assert_int_equal(reserved, 5);
  assert_int_equal(emuv_disk_reserve(disk, 10, &reserved, &err), 0); /* space was made */
  assert_int_equal(reserved, 10);
  assert_int_equal(emuv_disk_reserve(disk, 11, &reserved, &err), EMUV_ERR_RANGE);
  emuv_disk_close(disk);
  emuv_inject_close(inject);
}

/* Reserves 64 slots of 64 KiB where there is room for some; exit status 0 when the answer is true and the file usable.
 */
static int reserve_where_it_is_tight(const char *path, uint32_t at_least, uint32_t at_most)
{
  struct world w = {.slot_bytes = 64 * KIB};
  struct emuv_err err;
  uint32_t reserved = 0;
  const struct emuv_disk_env env = {.path = path, .slot_bytes = w.slot_bytes, .n_slots = 64};
  if (emuv_disk_open(&env, &w.disk, &err) != 0) return 2;
  if (emuv_disk_reserve(w.disk, 64, &reserved, &err) != EMUV_ERR_NOSPACE) return 3;
  if (reserved < at_least || reserved > at_most) return 4;
  if (emuv_disk_reserve(w.disk, reserved, &reserved, &err) != 0) return 5;
  if (posix_memalign((void **)&w.memory, 4096, w.slot_bytes) != 0) return 6;
  for (uint32_t slot = 0; slot < reserved; slot++) {
    fill(w.memory, w.slot_bytes, slot, 9);
    if (transfer(&w, true, slot, w.memory).rc != 0) return 7;
  }
  emuv_disk_close(w.disk);
  free(w.memory);
  return 0;
}

static int status_of(pid_t child)
{
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void limits_on_file_sizes_are_no_signal(void **state)
{
  (void)state;
  const pid_t child = fork();
  if (child == 0) {
    const struct rlimit limit = {.rlim_cur = 10 * 64 * KIB + 100, .rlim_max = 10 * 64 * KIB + 100};
    _exit(setrlimit(RLIMIT_FSIZE, &limit) != 0 ? 1 : reserve_where_it_is_tight(folder, 10, 10));
  }
  assert_int_equal(status_of(child), 0);
}

/* A file system of 2 MiB; needs root and a system that lets it mount. */
static void a_full_file_system_is_an_answer(void **state)
{
  (void)state;
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", 0, "size=2m") != 0)
      _exit(77);
    _exit(reserve_where_it_is_tight(folder, 20, 32));
  }
  const int status = status_of(child);
  if (status == 77) skip();
  assert_int_equal(status, 0);
}

static void what_cannot_be_opened_is_named(void **state)
{
  (void)state;
  struct emuv_disk *disk = NULL;
  struct emuv_err err;
  char missing[128];
  (void)snprintf(missing, sizeof missing, "%s/missing/nowhere", folder);
  struct emuv_disk_env env = {.path = missing, .slot_bytes = 4 * KIB, .n_slots = 4};
  assert_int_equal(emuv_disk_open(&env, &disk, &err), EMUV_ERR_IO);
  assert_non_null(strstr(err.text, missing));
  assert_non_null(strstr(err.text, "No such file"));
  env.path = "/dev/null";
  assert_int_equal(emuv_disk_open(&env, &disk, &err), EMUV_ERR_IO);
  assert_non_null(strstr(err.text, "block device"));
  const char *const rules[] = {"nvme-open"};
  env.path = folder;
  assert_int_equal(emuv_inject_open(rules, 1, 1, &env.inject, &err), 0);
  assert_int_equal(emuv_disk_open(&env, &disk, &err), EMUV_ERR_IO);
  assert_non_null(strstr(err.text, "Permission denied"));
  emuv_inject_close(env.inject);
}

static void folders_of_others_are_refused(void **state)
{
  (void)state;
  assert_int_equal(chmod(folder, 0500), 0);
  const pid_t child = fork();
  if (child == 0) {
    struct emuv_disk *disk = NULL;
    struct emuv_err err;
    const struct emuv_disk_env env = {.path = folder, .slot_bytes = 4 * KIB, .n_slots = 4};
    if (geteuid() == 0 && (chmod(folder, 0755) != 0 || setuid(65534) != 0)) _exit(1);
    if (emuv_disk_open(&env, &disk, &err) != EMUV_ERR_IO) _exit(2);
    _exit(strstr(err.text, "Permission denied") ? 0 : 3);
  }
  assert_int_equal(status_of(child), 0);
  assert_int_equal(chmod(folder, 0700), 0);
}

/* An existing file keeps its size and its name; its pages outlive the disk; two disks in one file cannot be. */
static void existing_files_are_used_as_they_are(void **state)
{
  (void)state;
  char path[128];
  (void)snprintf(path, sizeof path, "%s/pages", folder);
  const int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  assert_true(fd >= 0 && ftruncate(fd, 5 * 64 * KIB + 4096) == 0 && close(fd) == 0);
  struct emuv_disk_env env = {.path = path, .slot_bytes = 64 * KIB, .n_slots = 8};
  struct emuv_disk *other = NULL;
  struct emuv_err err;
  uint32_t reserved = 0;
  struct world w = {.slot_bytes = 64 * KIB};
  assert_int_equal(posix_memalign((void **)&w.memory, 4096, w.slot_bytes), 0);
  for (int pass = 0; pass < 2; pass++) {
    assert_int_equal(emuv_disk_open(&env, &w.disk, &err), 0);
    assert_int_equal(emuv_disk_open(&env, &other, &err), EMUV_ERR_BUSY);
    assert_int_equal(emuv_disk_reserve(w.disk, 8, &reserved, &err), EMUV_ERR_NOSPACE);
    assert_int_equal(reserved, 5);
    if (pass == 0) fill(w.memory, w.slot_bytes, 4, 1);
    assert_int_equal(transfer(&w, pass == 0, 4, w.memory).rc, 0);
    assert_true(holds(w.memory, w.slot_bytes, 4, 1));
    memset(w.memory, 0, w.slot_bytes);
    emuv_disk_close(w.disk);
  }
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_size, 5 * 64 * KIB + 4096);
  env.slot_bytes = 1024 * KIB;
  assert_int_equal(emuv_disk_open(&env, &other, &err), EMUV_ERR_RANGE);
  assert_int_equal(unlink(path), 0);
  free(w.memory);
}

/* The end of a file that became shorter meanwhile is an error, no endless loop. */
static void the_end_of_a_file_is_an_error(void **state)
{
  (void)state;
  char path[128];
  (void)snprintf(path, sizeof path, "%s/pages", folder);
  for (size_t k = 0; k < N_KINDS; k++) {
    const int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, 4 * 64 * KIB) == 0);
    struct world w = {.slot_bytes = 64 * KIB};
    struct emuv_err err;
    uint32_t reserved = 0;
    inject_rules(&w, &kinds[k], NULL);
    const struct emuv_disk_env env = {.path = path, .slot_bytes = w.slot_bytes, .n_slots = 4, .inject = w.inject};
    assert_int_equal(posix_memalign((void **)&w.memory, 4096, w.slot_bytes), 0);
    assert_int_equal(emuv_disk_open(&env, &w.disk, &err), 0);
    assert_int_equal(emuv_disk_reserve(w.disk, 4, &reserved, &err), 0);
    assert_int_equal(ftruncate(fd, 3 * 64 * KIB + 8 * KIB), 0);
    assert_int_equal(transfer(&w, false, 2, w.memory).rc, 0);
    assert_int_equal(transfer(&w, false, 3, w.memory).rc, EMUV_ERR_IO);
    assert_true(close(fd) == 0 && unlink(path) == 0);
    close_world(&w);
  }
}

static void nothing_outlives_a_killed_process(void **state)
{
  (void)state;
  for (size_t k = 0; k < N_KINDS; k++) {
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    const pid_t child = fork();
    if (child == 0) {
      struct world w;
      open_world(&w, &kinds[k], NULL, 64 * KIB, 12, 8);
      for (uint32_t slot = 0;; slot = (slot + 1) % 12) {
        (void)transfer(&w, true, slot, w.memory);
        if (slot == 5 && write(ready[1], "x", 1) != 1) _exit(1);
      }
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(status_of(child), 128 + SIGKILL);
    assert_int_equal(entries(folder), 0);
  }
}

static void *opens_and_writes(void *arg)
{
  struct world w;
  open_world(&w, arg, NULL, 64 * KIB, 16, 8);
  run_random(&w, 200, 3);
  emuv_disk_close(w.disk);
  emuv_inject_close(w.inject);
  free(w.memory);
  return NULL;
}

/* Several disks in one process, each with a thread of its own. */
static void disks_do_not_know_of_each_other(void **state)
{
  (void)state;
  pthread_t threads[N_KINDS];
  for (size_t k = 0; k < N_KINDS; k++)
    assert_int_equal(pthread_create(&threads[k], NULL, opens_and_writes, (void *)(uintptr_t)&kinds[k]), 0);
  for (size_t k = 0; k < N_KINDS; k++) assert_int_equal(pthread_join(threads[k], NULL), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_requests_match_a_model),
      cmocka_unit_test(submit_takes_what_the_depth_allows),
      cmocka_unit_test(requests_that_make_no_sense_are_refused),
      cmocka_unit_test(short_transfers_are_healed),
      cmocka_unit_test(errors_are_reported_once_asked_for),
      cmocka_unit_test(torn_transfers_lie),
      cmocka_unit_test(slow_requests_take_longer),
      cmocka_unit_test(full_disks_tell_how_much_fits),
      cmocka_unit_test(limits_on_file_sizes_are_no_signal),
      cmocka_unit_test(a_full_file_system_is_an_answer),
      cmocka_unit_test(what_cannot_be_opened_is_named),
      cmocka_unit_test(folders_of_others_are_refused),
      cmocka_unit_test(existing_files_are_used_as_they_are),
      cmocka_unit_test(the_end_of_a_file_is_an_error),
      cmocka_unit_test(nothing_outlives_a_killed_process),
      cmocka_unit_test(disks_do_not_know_of_each_other),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
