/* sensor_logger.c as an Arduino sketch, on any board of Arduino's.
 * The log goes to Serial, at 115,200 baud. */
#define ASYNC_STATIC_ONLY 1 /* as sensor_logger.c has it */
#include <async.h>          /* Caesura, the library */
#define BOARD_SENSOR_HOOK
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
