/* Two LEDs at two rates: Caesura in a sketch that is one file, of C++.  Loop()
 * has room for anything else; nothing in it waits. */
#define ASYNC_STATIC_ONLY 1
#define ASYNC_IMPLEMENTATION
#include <async.h> /* Caesura, the library */
#include <async/bare/loop.h>

static uint32_t ticks()
{
    return millis();
}
static void do_not_sleep(uint32_t)
{
}
static async_bare_loop tasks = ASYNC_BARE_LOOP(tasks, ticks, do_not_sleep);

struct blink { ASYNC_FRAME; uint8_t pin; int16_t period; };
static ASYNC(blink)
{
    ASYNC_BEGIN(blink);
    pinMode(self->pin, OUTPUT);
    for (;;) {
        digitalWrite(self->pin, HIGH);
        Serial.print("on: ");
        Serial.println(self->pin);
        AWAIT(async_sleep, self->period);
        digitalWrite(self->pin, LOW);
        Serial.print("off: ");
        Serial.println(self->pin);
        AWAIT(async_sleep, self->period);
    }
    ASYNC_END;
}
ASYNC_STATIC_TASK(red, ASYNC_FRAMES(blink, async_sleep));
ASYNC_STATIC_TASK(green, ASYNC_FRAMES(blink, async_sleep));

void setup()
{
    Serial.begin(115200);
    ASYNC_TASK_START(&red, &tasks.base, blink, LED_BUILTIN, 500);
    ASYNC_TASK_START(&green, &tasks.base, blink, 12, 300);
}

void loop()
{
    async_bare_turn(&tasks);
}
