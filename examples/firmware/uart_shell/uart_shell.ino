/* uart_shell.c as an Arduino sketch, on any board of Arduino's.
 * Open the Serial Monitor at 115,200 baud, with "Newline". */
#define ASYNC_STATIC_ONLY 1 /* as uart_shell.c has it */
#include <async.h>          /* Caesura, the library */
#define BOARD_UART_HOOK
#include <examples/firmware/boards/arduino_board.h>

void setup()
{
    program_start();
}

void loop()
{
    board_poll();
    program_turn();
}
