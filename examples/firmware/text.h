/* text.h - numbers, and what little of libc the examples need */
#ifndef TEXT_H
#define TEXT_H

#include "board.h"

static inline void print_number(uint32_t n)
{
    char digits[11], *p = digits + sizeof digits - 1;
    *p = '\0';
    do *--p = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    board_print(p);
}

/* The number that a text begins with; 0 when it begins with none. */
static inline uint16_t number_in(const char *text)
{
    uint16_t n = 0;
    while (*text >= '0' && *text <= '9')
        n = (uint16_t)(n * 10 + (uint16_t)(*text++ - '0'));
    return n;
}

/* If `text` begins with `word` and that ends there: what stands behind it,
 * without the space in between; else NULL. */
static inline const char *after_word(const char *text, const char *word)
{
    while (*word != '\0')
        if (*text++ != *word++) return 0;
    if (*text == ' ') return text + 1;
    return *text == '\0' ? text : 0;
}

#endif
