// SPDX-License-Identifier: Apache-2.0
/* A kernel's name for people and for grouping: the base name of a mangled symbol (Itanium C++ ABI, 5.1), without
 * namespaces, template arguments and parameters. Pure, any thread. */
#ifndef EMUV_FORMAT_EXPORT_KERNEL_NAME_H
#define EMUV_FORMAT_EXPORT_KERNEL_NAME_H

#include <stddef.h>

/* "_ZN2at6native18elementwise_kernelILi128E..." gives "elementwise_kernel"; a name that is not mangled, or not in a way
 * that is understood, stays as it is. Cut to fit. Returns buf. */
char *emuv_kernel_base_name(const char *symbol, char *buf, size_t size);
/* The base name and, of template arguments, the words that tell instances apart (types and functions, without
 * namespaces): "elementwise_kernel BinaryFunctor Half MulFunctor". Cut to fit. Returns buf. */
char *emuv_kernel_short_name(const char *symbol, char *buf, size_t size);

#endif
