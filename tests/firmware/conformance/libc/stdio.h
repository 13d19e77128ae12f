/* What the conformance cases use of stdio.h, where there is no libc: ../libc.c */
#ifndef LIBC_STDIO_H
#define LIBC_STDIO_H
#include <stddef.h>
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int snprintf(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int puts(const char *text);
int putchar(int character);
#endif
