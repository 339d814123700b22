// SPDX-License-Identifier: Apache-2.0
/* Threads of a library: they take no signals, which belong to the program's own threads. */
#ifndef EMUV_ENGINE_THREAD_H
#define EMUV_ENGINE_THREAD_H

#include <pthread.h>
#include <signal.h>

/* As pthread_create. */
static inline int emuv_thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(thread, NULL, fn, arg);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed;
}

#endif
