/* What every unit test file includes: cmocka, and a trace to compare.
 *
 * A test writes what happens with say(), and checks it with assert_said():
 * the whole story in one string, in order.
 *
 * Each file is a program; with a name (wildcards allowed) as its argument it
 * runs those tests alone. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Whether uring.h stands before. */
#ifndef ON_RING
#define ON_RING 0
#endif

static char unit_said[4096];
static size_t unit_said_length;

/* Adds words to the story, separated by a space. */
__attribute__((format(printf, 1, 2), unused)) static void
say(const char *format, ...)
{
    va_list arguments;
    size_t room = sizeof unit_said - unit_said_length;
    int n;
    if (unit_said_length > 0 && room > 1) {
        unit_said[unit_said_length++] = ' ';
        room--;
    }
    va_start(arguments, format);
    n = vsnprintf(unit_said + unit_said_length, room, format, arguments);
    va_end(arguments);
    if (n > 0) unit_said_length += (size_t)n < room ? (size_t)n : room - 1;
}

#define assert_said(story)                                                    \
    do {                                                                      \
        char unit_heard[sizeof unit_said];                                    \
        memcpy(unit_heard, unit_said, sizeof unit_heard);                     \
        unit_said[0] = '\0';                                                  \
        unit_said_length = 0;                                                 \
        assert_string_equal(unit_heard, story);                               \
    } while (0)

static int unit_begin(void **state)
{
    (void)state;
    unit_said[0] = '\0';
    unit_said_length = 0;
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, unit_begin)

#define UNIT_MAIN(...)                                                        \
    int main(int argc, char **argv)                                           \
    {                                                                         \
        const struct CMUnitTest tests[] = { __VA_ARGS__ };                    \
        if (argc > 1) cmocka_set_test_filter(argv[1]);                        \
        return cmocka_run_group_tests(tests, NULL, NULL);                     \
    }

#endif
