#ifndef LIBC_STDLIB_H
#define LIBC_STDLIB_H
#include <stddef.h>
void qsort(void *items, size_t count, size_t size,
           int (*compare)(const void *, const void *));
#endif
