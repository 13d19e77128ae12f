/* ATmega328P at 16 MHz (Arduino Uno, Nano): timer 0 ticks each millisecond, the
 * processor idles in between; LEDs on PB5 and PB4; UART 0; a button from PD3 to
 * ground; a sensor that begins when PD4 is up, says by PD2 that it is ready, and
 * gives a voltage at ADC0; PC5, which nothing is to be connected to, is the
 * interrupt of software. */
#include "../board.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#define BAUD 115200ul

static volatile board_time ticks;

ISR(TIMER0_COMPA_vect)
{
    ticks++;
    BOARD_TICK();
}

#ifdef BOARD_SOFTWARE_HOOK
/* A change of the pin, which is an output. */
void board_software_interrupt(void)
{
    PINC = _BV(PC5);
}

ISR(PCINT1_vect)
{
    static uint8_t running, asked_for;
    asked_for = 1;
    if (running) return;
    running = 1;
    do {
        asked_for = 0;
        sei();
        board_preempt();
        cli();
    } while (asked_for);
    running = 0;
}
#endif

/* At that rate twice the speed is nearer. */
static void uart_on(void)
{
    UBRR0 = (uint16_t)((F_CPU / 8 + BAUD / 2) / BAUD - 1);
    UCSR0A = _BV(U2X0);
    UCSR0B |= _BV(TXEN0);
}

void board_init(void)
{
    DDRB = _BV(PB5) | _BV(PB4);
    TCCR0A = _BV(WGM01);
    TCCR0B = _BV(CS01) | _BV(CS00);
    OCR0A = F_CPU / 64 / 1000 - 1;
    TIMSK0 = _BV(OCIE0A);
    SMCR = _BV(SE);
    PORTD = _BV(PD3);
#ifdef BOARD_UART_HOOK
    uart_on();
    UCSR0B |= _BV(RXEN0) | _BV(RXCIE0);
#endif
#ifdef BOARD_SOFTWARE_HOOK
    DDRC |= _BV(PC5);
    PCMSK1 = _BV(PCINT13);
    PCICR = _BV(PCIE1);
#endif
    sei();
}

board_time board_ticks(void)
{
    board_time now;
    uint8_t were_on = SREG;
    cli();
    now = ticks;
    SREG = were_on;
    return now;
}

/* The instruction after sei is executed before any interrupt. */
void board_sleep_until(board_time when)
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

void board_delay(uint16_t milliseconds)
{
    board_time start = board_ticks();
    while ((board_time)(board_ticks() - start) < milliseconds) {}
}

void board_print(const char *text)
{
    if (!(UCSR0B & _BV(TXEN0))) uart_on();
    for (; *text != '\0'; text++) {
        while (!(UCSR0A & _BV(UDRE0))) {}
        UDR0 = (uint8_t)*text;
    }
}

#ifdef BOARD_UART_HOOK
ISR(USART_RX_vect)
{
    board_received(UDR0);
}
#endif

uint8_t board_button(void)
{
    return !(PIND & _BV(PD3));
}

#ifdef BOARD_SENSOR_HOOK
ISR(INT0_vect)
{
    ADCSRA |= _BV(ADSC);
}

ISR(ADC_vect)
{
    board_measured(ADC);
}

/* What was said before the start does not count. */
void board_sensor_start(void)
{
    ADMUX = _BV(REFS0);
    ADCSRA = _BV(ADEN) | _BV(ADIE) | _BV(ADPS2) | _BV(ADPS1) | _BV(ADPS0);
    EICRA |= _BV(ISC01) | _BV(ISC00);
    EIFR = _BV(INTF0);
    EIMSK |= _BV(INT0);
    DDRD |= _BV(PD4);
    PORTD |= _BV(PD4);
}

void board_sensor_stop(void)
{
    PORTD &= (uint8_t)~_BV(PD4);
    EIMSK &= (uint8_t)~_BV(INT0);
    ADCSRA = 0;
}
#endif

/* The watchdog goes on after a reset, with its shortest time, which simavr lets
 * nobody change while it is on. */
uint8_t board_watchdog_start(void)
{
    uint8_t was_it = MCUSR & _BV(WDRF);
    MCUSR = 0;
    wdt_disable();
    wdt_enable(WDTO_2S);
    return was_it != 0;
}

void board_watchdog_feed(void)
{
    wdt_reset();
}

/* To sleep with interrupts off is the end; the emulator looks at GPIOR0. */
void board_exit(uint8_t status)
{
    while (!(UCSR0A & _BV(UDRE0))) {}
    GPIOR0 = status;
    cli();
    for (;;) sleep_cpu();
}
