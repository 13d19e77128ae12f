// Coroutines from C++: arguments, results, errors, TRY and its arms.
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EKEY, -10001, "no such key")
#include "../../async/test/virtual.h"

#include <cstdio>
#include <string>
#include <vector>

// A coroutine's struct and its function have one name, which g++ takes for
// shadowing.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wshadow"
#endif

struct twice { ASYNC_RETURNS(int); int n; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    AWAIT(async_sleep, ASYNC_MS(1));
    if (self->n < 0) ASYNC_RAISE(EKEY);
    ASYNC_RETURN(self->n * 2);
    ASYNC_END;
}

// In a namespace, and with several arguments.
namespace words {
struct join { ASYNC_FRAME; std::string *to; const char *what; int times; };
static ASYNC(join)
{
    ASYNC_BEGIN(join);
    for (; self->times > 0; self->times--) {
        *self->to += self->what;
        ASYNC_SUSPEND;
    }
    ASYNC_END;
}
} // namespace words

struct results { ASYNC_FRAME; int n, error; };
static ASYNC(results)
{
    ASYNC_BEGIN(results);
    AWAIT(twice, 1);
    AWAIT_INTO(self->n, twice, 21);
    std::printf("%d\n", self->n);
    AWAIT_CATCH(self->error, twice, -1);
    std::printf("%s\n", async_error_name(self->error));
    AWAIT_CATCH_INTO(self->error, self->n, twice, 4);
    std::printf("%d %d\n", self->error, self->n);
    AWAIT_CO(CO(twice, 4));
    AWAIT_CO_INTO(self->n, twice, CO(twice, 5));
    std::printf("%d\n", self->n);
    ASYNC_END;
}

// What an await interrupts must lie in the frame; between awaits locals are
// as good as anywhere, objects with destructors too.
struct objects { ASYNC_FRAME; std::string *text; std::vector<int> *numbers; };
static ASYNC(objects)
{
    ASYNC_BEGIN(objects);
    AWAIT(words::join, self->text, "ab", 2);
    {
        std::string copy = *self->text + "!";
        std::printf("%s\n", copy.c_str());
        for (char c : copy) self->numbers->push_back(c);
    }
    AWAIT(words::join, self->text, "c");
    for (int &n : *self->numbers) n -= 'a';
    std::printf("%s %d\n", self->text->c_str(), self->numbers->front());
    ASYNC_END;
}

struct arms { ASYNC_FRAME; int n, error, i; };
static ASYNC(arms)
{
    ASYNC_BEGIN(arms);
    ASYNC_TRY {
        AWAIT(twice, self->n);
        std::puts("body");
    } ASYNC_EXCEPT(EKEY, ASYNC_EBUSY) {
        AWAIT(twice, 1);
        std::puts("except");
    } ASYNC_EXCEPT_ANY(self->error) {
        std::puts("any?");
    } ASYNC_ELSE {
        AWAIT(twice, 1);
        std::puts("else");
    } ASYNC_FINALLY {
        AWAIT(twice, 1);
        std::puts("finally");
    } ASYNC_END_TRY
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_TRY {
            if (self->i == 1) continue;
            if (self->i == 2) break;
            AWAIT(twice, self->i);
        } ASYNC_FINALLY {
            ASYNC_SUSPEND;
            std::printf("finally %d\n", self->i);
        } ASYNC_END_TRY
    }
    ASYNC_TRY {
        ASYNC_RETURN();
    } ASYNC_FINALLY {
        std::puts("returning");
    } ASYNC_END_TRY
    std::puts("not here");
    ASYNC_END;
}

struct program { ASYNC_FRAME; std::string *text; std::vector<int> *numbers; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT(results);
    AWAIT(objects, self->text, self->numbers);
    AWAIT(arms, 1);
    AWAIT(arms, -1);
    ASYNC_END;
}

int main()
{
    std::string text;
    std::vector<int> numbers;
    std::printf("end %d\n", async_virtual_run(CO(program, &text, &numbers)));

    // By hand.
    async co;
    if (async_new(&co, nullptr, CO(words::join, &text, "d", 2))) return 1;
    while (async_send(&co) == ASYNC_SUSPENDED) std::puts(text.c_str());
    std::printf("close %d\n", async_close(&co));
    return 0;
}
