// SPDX-License-Identifier: Apache-2.0
/* The devices of devices.def as one table. Const data: any thread. */
#include "runtime/device/device.h"

#include <string.h>

#define EMUV_DEVICE(name) extern const struct emuv_device_ops emuv_device_##name;
#include "runtime/device/devices.def"
#undef EMUV_DEVICE

const struct emuv_device_ops *const emuv_devices[] = {
#define EMUV_DEVICE(name) &emuv_device_##name,
#include "runtime/device/devices.def"
#undef EMUV_DEVICE
    NULL,
};

static const char *const names[] = {
#define EMUV_DEVICE(name) #name,
#include "runtime/device/devices.def"
#undef EMUV_DEVICE
    NULL,
};

const struct emuv_device_ops *emuv_device_find(const char *name)
{
  for (size_t i = 0; emuv_devices[i]; i++)
    if (strcmp(emuv_devices[i]->name, name) == 0) return emuv_devices[i];
  return NULL;
}

const char *const *emuv_device_names(void)
{
  return names;
}
