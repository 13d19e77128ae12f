/* Each ASYNC_PT_* once, in a trace, and loops with a wait inside, whose counter
 * lives in a struct: SDCC with its global common subexpressions keeps the
 * counter's address in a register across the wait and loses it. */
#include "async.h"
#include "examples/firmware/board.h"

struct counting { async_pt pt; uint16_t since; uint8_t n; };

static async_pt parent_state, child_state, again_state;
static struct counting counted;
static uint16_t time;
static uint8_t ready, runs;

static void say(const char *what, uint8_t n)
{
    char digit[3];
    digit[0] = (char)('0' + n % 10);
    digit[1] = '\n';
    digit[2] = '\0';
    board_print(what);
    board_print(" ");
    board_print(digit);
}

static ASYNC_PT_THREAD(child(async_pt *pt, uint8_t number))
{
    ASYNC_PT_BEGIN(pt);
    say("child", number);
    ASYNC_PT_YIELD(pt);
    ASYNC_PT_WAIT_UNTIL(pt, ready);
    say("child goes on", number);
    ASYNC_PT_END(pt);
}

static ASYNC_PT_THREAD(parent(async_pt *pt))
{
    static uint8_t turn;
    ASYNC_PT_BEGIN(pt);
    ASYNC_PT_SPAWN(pt, &child_state, child(&child_state, 1));
    for (turn = 0; turn < 2; turn++) {
        say("turn", turn);
        ASYNC_PT_YIELD(pt);
    }
    ASYNC_PT_WAIT_WHILE(pt, ready);
    say("not ready", ready);
    ASYNC_PT_EXIT(pt);
    ASYNC_PT_END(pt);
}

static ASYNC_PT_THREAD(again(async_pt *pt))
{
    ASYNC_PT_BEGIN(pt);
    runs++;
    ASYNC_PT_YIELD_UNTIL(pt, ready);
    if (runs < 3) ASYNC_PT_RESTART(pt);
    ASYNC_PT_END(pt);
}

static uint16_t now(void)
{
    return ++time;
}

static ASYNC_PT_THREAD(count(struct counting *c, uint8_t to))
{
    ASYNC_PT_BEGIN(&c->pt);
    c->since = now();
    for (c->n = 0; c->n < to; c->n++) {
        ASYNC_PT_WAIT_UNTIL(&c->pt, now() - c->since >= 3);
        c->since = now();
        say("count", c->n);
    }
    ASYNC_PT_END(&c->pt);
}

int main(void)
{
    uint8_t i;
    board_init();
    say("size", (uint8_t)sizeof(async_pt));
    say("waiting", (uint8_t)parent(&parent_state));
    say("waiting", (uint8_t)parent(&parent_state));
    ready = 1;
    say("yielded", (uint8_t)parent(&parent_state));
    say("yielded", (uint8_t)parent(&parent_state));
    say("waiting", (uint8_t)parent(&parent_state));
    ready = 0;
    say("exited", (uint8_t)parent(&parent_state));
    say("begins again", (uint8_t)parent(&parent_state));

    ready = 1;
    for (i = 0; ASYNC_PT_ALIVE(again(&again_state)); i++) {}
    say("runs", runs);
    say("calls", i);

    for (i = 0; i < 100 && ASYNC_PT_ALIVE(count(&counted, 5)); i++) {}
    say(i < 100 ? "counted" : "never counted", counted.n);
    board_print("done\n");
    board_exit(0);
    return 0;
}
