// SPDX-License-Identifier: Apache-2.0
/* Small parts that policies share: how a state block is laid out, and how the vtable's symbol is named. */
#ifndef EMUV_POLICY_STATE_H
#define EMUV_POLICY_STATE_H

#include "runtime/policy/policy.h"

#include <stdbool.h>

#define EMUV_POLICY_SYMBOL(name) EMUV_POLICY_SYMBOL_(name)
#define EMUV_POLICY_SYMBOL_(name) emuv_policy_##name
#define EMUV_POLICY_STRING(name) EMUV_POLICY_STRING_(name)
#define EMUV_POLICY_STRING_(name) #name

/* References ahead whose per-page word is fetched in replay loops: enough to hide a miss in the second-level cache. */
enum { EMUV_POLICY_AHEAD = 24 };

/* Bytes that a part of the state block takes: parts start on cache lines. */
static inline size_t emuv_policy_round(size_t bytes)
{
  return (bytes + 63) & ~(size_t)63;
}

/* The next part of a state block; *at moves behind it. */
static inline void *emuv_policy_carve(char **at, size_t bytes)
{
  void *part = *at;
  *at += emuv_policy_round(bytes);
  return part;
}

/* Frames that can ever be in use. */
static inline uint32_t emuv_policy_frames(const struct emuv_policy_env *env)
{
  return env->capacity < env->n_pages ? env->capacity : env->n_pages;
}

#endif
