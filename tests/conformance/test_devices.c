// SPDX-License-Identifier: Apache-2.0
/* Every device of the registry that this machine has, with both mappings, against what device.h promises. Needs no test
 * library and no arguments; also installed for machines with a GPU (EMUV_TRUTH).
 *
 *   test_devices [DEVICE]       exit status: 0 all cases pass, 1 one does not, 77 DEVICE is not here */
#include "tests/conformance/devices.h"

#include <unistd.h>

static const struct device_case *const tables[] = {device_order_cases, device_check_cases, device_error_cases};

/* The smallest page that the device takes. */
static uint64_t page_bytes_of(struct world *w)
{
  for (w->env.page_bytes = 64 << 10; w->env.page_bytes <= 2 << 20; w->env.page_bytes *= 2) {
    int rc = w->ops->open(&w->env, &w->device, &w->err);
    world_close(w);
    if (rc != EMUV_ERR_RANGE) break;
  }
  return w->env.page_bytes;
}

static int run_case(const struct device_case *test, const struct world *model)
{
  struct world w = *model;
  alarm(120); /* a device that hangs fails, rather than the machine's patience */
  if (!test->own_devices && world_open(&w) != EMUV_OK) {
    fprintf(stderr, "%s: cannot open the device: %s\n", test->name, w.err.text);
    w.failures++;
  } else {
    test->run(&w);
  }
  world_close(&w);
  alarm(0);
  printf("%-4s %s, %s: %s\n", w.failures ? "FAIL" : "ok", w.ops->name,
         w.env.mapping == EMUV_MAPPING_TABLE ? "table" : "remap", test->name);
  return w.failures;
}

static int run_device(const struct emuv_device_ops *ops, int *cases)
{
  int failures = 0;
  for (int mapping = EMUV_MAPPING_TABLE; mapping <= EMUV_MAPPING_REMAP; mapping++) {
    struct world model = {.ops = ops};
    model.env.n_pages = WORLD_PAGES;
    model.env.n_frames = WORLD_FRAMES;
    model.env.mapping = (enum emuv_mapping)mapping;
    model.env.page_bytes = page_bytes_of(&model);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
      for (const struct device_case *test = tables[i]; test->name; test++, ++*cases) failures += run_case(test, &model);
  }
  return failures;
}

int main(int argc, char **argv)
{
  int failures = 0, cases = 0;
  setvbuf(stdout, NULL, _IOLBF, 0); /* a case that hangs is named */
  for (size_t i = 0; emuv_devices[i]; i++) {
    struct emuv_device_info info;
    struct emuv_err err = {0};
    if (argc > 1 && strcmp(argv[1], emuv_devices[i]->name) != 0) continue;
    if (emuv_devices[i]->probe(0, &info, &err) != EMUV_OK) {
      printf("skip %s: %s\n", emuv_devices[i]->name, err.text);
      continue;
    }
    printf("%s: %s\n", emuv_devices[i]->name, info.name);
    failures += run_device(emuv_devices[i], &cases);
  }
  printf("%d cases, %d failures\n", cases, failures);
  return cases == 0 ? 77 : failures > 0;
}
