/* Any Arduino, by Arduino's own functions: the built-in LED and one at pin 12,
 * Serial, a button from pin 3 to ground; a sensor that begins when pin 4 is up,
 * says by pin 2 that it is ready, and gives a voltage at A0.
 *
 * Arduino compiles what lies in the sketch's folder; so that includes this.  In
 * its loop() it calls board_poll(), which tells what the core's own interrupts
 * have noted.  The loop of the core goes round all the time: nothing sleeps. */
#ifndef ARDUINO_BOARD_H
#define ARDUINO_BOARD_H

#include <Arduino.h>
#ifdef __AVR__
#include <avr/wdt.h>
#endif

#include "../board.h"

enum { PIN_LED_1 = 12, PIN_READY = 2, PIN_BUTTON = 3, PIN_START = 4 };
static bool board_measures;

static inline void board_poll()
{
#ifdef BOARD_UART_HOOK
    while (Serial.available() > 0) board_received((uint8_t)Serial.read());
#endif
#ifdef BOARD_SENSOR_HOOK
    if (board_measures && digitalRead(PIN_READY)) {
        board_measures = false;
        board_measured((uint16_t)analogRead(A0));
    }
#endif
}

extern "C" {

void board_init(void)
{
    pinMode(LED_BUILTIN, OUTPUT);
    pinMode(PIN_LED_1, OUTPUT);
    pinMode(PIN_BUTTON, INPUT_PULLUP);
    Serial.begin(115200);
}

board_time board_ticks(void)
{
    return millis();
}

/* Never called: the sketch's loop() does not sleep. */
void board_sleep_until(board_time when)
{
    (void)when;
}

void board_led(uint8_t led, uint8_t on)
{
    digitalWrite(led ? (int)PIN_LED_1 : LED_BUILTIN, on ? HIGH : LOW);
}

void board_delay(uint16_t milliseconds)
{
    delay(milliseconds);
}

void board_print(const char *text)
{
    Serial.print(text);
}

uint8_t board_button(void)
{
    return !digitalRead(PIN_BUTTON);
}

void board_sensor_start(void)
{
    pinMode(PIN_START, OUTPUT);
    digitalWrite(PIN_START, HIGH);
    board_measures = true;
}

void board_sensor_stop(void)
{
    digitalWrite(PIN_START, LOW);
    board_measures = false;
}

/* Arduino has no function for a watchdog: AVR's alone is here.  A bootloader
 * may keep to itself what the reset was. */
#ifdef __AVR__
uint8_t board_watchdog_start(void)
{
    uint8_t was_it = (MCUSR & _BV(WDRF)) != 0;
    MCUSR = 0;
    wdt_disable();
    wdt_enable(WDTO_2S);
    return was_it;
}

void board_watchdog_feed(void)
{
    wdt_reset();
}
#else
uint8_t board_watchdog_start(void)
{
    return 0;
}

void board_watchdog_feed(void)
{
}
#endif

} /* extern "C" */

#endif
