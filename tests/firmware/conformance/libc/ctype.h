#ifndef LIBC_CTYPE_H
#define LIBC_CTYPE_H
int isdigit(int character);
#endif
