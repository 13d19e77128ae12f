/* ATmega328P at 16 MHz (Arduino Uno, Nano): timer 0 ticks each millisecond, the
 * processor idles in between; LEDs on PB5 and PB4; text goes to UART 0. */
#include "../board.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

static volatile uint32_t ticks;

ISR(TIMER0_COMPA_vect)
{
    ticks++;
    BOARD_TICK();
}

void board_init(void)
{
    DDRB = _BV(PB5) | _BV(PB4);
    TCCR0A = _BV(WGM01);
    TCCR0B = _BV(CS01) | _BV(CS00);
    OCR0A = F_CPU / 64 / 1000 - 1;
    TIMSK0 = _BV(OCIE0A);
    SMCR = _BV(SE);
    sei();
}

uint32_t board_ticks(void)
{
    uint32_t now;
    uint8_t were_on = SREG;
    cli();
    now = ticks;
    SREG = were_on;
    return now;
}

/* The instruction after sei is executed before any interrupt. */
void board_sleep_until(uint32_t when)
{
    (void)when; /* the next tick wakes us anyway */
    sei();
    sleep_cpu();
}

void board_led(uint8_t led, uint8_t on)
{
    uint8_t pin = led ? _BV(PB4) : _BV(PB5);
    if (on)
        PORTB |= pin;
    else
        PORTB &= (uint8_t)~pin;
}

void board_print(const char *text)
{
    UBRR0 = 0;
    UCSR0B |= _BV(TXEN0);
    for (; *text != '\0'; text++) {
        while (!(UCSR0A & _BV(UDRE0))) {}
        UDR0 = (uint8_t)*text;
    }
}

/* To sleep with interrupts off is the end; the emulator looks at GPIOR0. */
void board_exit(uint8_t status)
{
    while (!(UCSR0A & _BV(UDRE0))) {}
    GPIOR0 = status;
    cli();
    for (;;) sleep_cpu();
}
