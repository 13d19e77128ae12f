/* button.c as an Arduino sketch, on any board of Arduino's.
 * What was pressed goes to Serial, at 115,200 baud. */
#define ASYNC_STATIC_ONLY 1 /* as button.c has it */
#include <async.h>          /* Caesura, the library */
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
