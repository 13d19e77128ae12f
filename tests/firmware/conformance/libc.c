/* The little of libc that the conformance cases themselves use, on a board that
 * has none.  Caesura needs but memcpy and memset, which are the board's. */
#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/firmware/board.h"

/* --- printing -------------------------------------------------------------- */

/* Where a formatted text goes: to the board, or to memory. */
typedef struct target {
    char *at;
    size_t room; /* with the '\0' */
    int to_board;
    int length;
} target;

static void put(target *to, char character)
{
    to->length++;
    if (to->to_board) {
        putchar(character);
    } else if (to->room > 1) {
        *to->at++ = character;
        to->room--;
    }
}

static void put_number(target *to, unsigned long number)
{
    if (number >= 10) put_number(to, number / 10);
    put(to, (char)('0' + number % 10));
}

static void put_signed(target *to, long number)
{
    if (number < 0) put(to, '-');
    put_number(to,
               number < 0 ? 0 - (unsigned long)number : (unsigned long)number);
}

/* %d %ld %zu %c %s %.Ns: no others are asked for. */
static void format_into(target *to, const char *format, va_list arguments)
{
    for (; *format != '\0'; format++) {
        unsigned limit = ~0u;
        const char *text;
        if (*format != '%') {
            put(to, *format);
            continue;
        }
        if (*++format == '.')
            for (limit = 0; *++format >= '0' && *format <= '9';)
                limit = limit * 10 + (unsigned)(*format - '0');
        switch (*format) {
        case 'd': put_signed(to, va_arg(arguments, int)); break;
        case 'c': put(to, (char)va_arg(arguments, int)); break;
        case 's':
            text = va_arg(arguments, const char *);
            while (*text != '\0' && limit-- > 0) put(to, *text++);
            break;
        case 'l':
            if (*++format == 'd') put_signed(to, va_arg(arguments, long));
            break;
        case 'z':
            if (*++format == 'u') put_number(to, va_arg(arguments, size_t));
            break;
        default: put(to, '?'); break;
        }
    }
}

int printf(const char *format, ...)
{
    target to;
    va_list arguments;
    memset(&to, 0, sizeof to);
    to.to_board = 1;
    va_start(arguments, format);
    format_into(&to, format, arguments);
    va_end(arguments);
    return to.length;
}

int snprintf(char *text, size_t size, const char *format, ...)
{
    target to;
    va_list arguments;
    memset(&to, 0, sizeof to);
    to.at = text;
    to.room = size;
    va_start(arguments, format);
    format_into(&to, format, arguments);
    va_end(arguments);
    if (size > 0) *to.at = '\0';
    return to.length;
}

int puts(const char *text)
{
    board_print(text);
    board_print("\n");
    return 0;
}

int putchar(int character)
{
    char text[2];
    text[0] = (char)character;
    text[1] = '\0';
    board_print(text);
    return character;
}

/* --- strings and sorting --------------------------------------------------- */

int isdigit(int character)
{
    return character >= '0' && character <= '9';
}

int strncmp(const char *a, const char *b, size_t size)
{
    for (; size > 0; a++, b++, size--)
        if (*a != *b || *a == '\0')
            return (unsigned char)*a - (unsigned char)*b;
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

char *strstr(const char *text, const char *words)
{
    size_t length = 0;
    while (words[length] != '\0') length++;
    for (; strncmp(text, words, length) != 0; text++)
        if (*text == '\0') return NULL;
    return (char *)(uintptr_t)text;
}

void qsort(void *items, size_t count, size_t size,
           int (*compare)(const void *, const void *))
{
    char *first = (char *)items, *a, *b;
    size_t sorted, i;
    for (sorted = 1; sorted < count; sorted++)
        for (b = first + sorted * size; b > first; b = a) {
            a = b - size;
            if (compare(a, b) <= 0) break;
            for (i = 0; i < size; i++) {
                char byte = a[i];
                a[i] = b[i];
                b[i] = byte;
            }
        }
}
