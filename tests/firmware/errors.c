/* Names and texts of errors, those of the program too; on AVR they lie in flash,
 * and the RAM that they take is seen by the last line. */
#define ASYNC_USER_ERRORS(X)                                                  \
    X(FIRE, -10001, "the board is on fire")                                   \
    X(A_NAME_THAT_IS_LONGER_THAN_ALL_THOSE_OF_THE_LIBRARY, -10002,            \
      "a text that is longer than all those of the library, which is more "   \
      "than eighty characters, and so than a line")
#define ASYNC_IMPLEMENTATION
#include "async/bare/loop.h"

#include "examples/firmware/board.h"

/* Each of the two has a buffer, so that they can be used together. */
static void say(int error)
{
    const char *name = async_error_name(error);
    const char *text = async_strerror(error);
    board_print(name != NULL ? name : "(no name)");
    board_print(": ");
    board_print(text);
    board_print("\n");
}

int main(void)
{
    static const int errors[] = { 0,
                                  ASYNC_ENOMEM,
                                  ASYNC_ETIMEDOUT,
                                  ASYNC_ECANCELED,
                                  ASYNC_EOVERRUN,
                                  ASYNC_ESTOPFUTURE,
                                  -10001,
                                  -10002,
                                  -9999,
                                  -4095,
                                  1 };
    uint8_t i;
    board_init();
    for (i = 0; i < sizeof errors / sizeof *errors; i++) say(errors[i]);
#ifdef __AVR__
    {
        extern char __data_start, __bss_end;
        if (&__bss_end - &__data_start > 512)
            board_print("the texts are in RAM\n");
    }
#endif
    board_exit(0);
    return 0;
}
