#include "conformance.h"

#include "../../async/queue.h"

typedef struct entry {
    int priority;
    const char *data;
} entry;
static int compare_numbers(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}
/* As tuples compare. */
static int compare_entries(const void *a, const void *b)
{
    const entry *x = (const entry *)a, *y = (const entry *)b;
    return x->priority != y->priority ? x->priority - y->priority
                                      : strcmp(x->data, y->data);
}

typedef ASYNC_QUEUE(int, 5) numbers;
typedef ASYNC_QUEUE(entry, 3) entries;

struct program { ASYNC_FRAME; numbers p, l; entries e; int i, got[5]; };
static ASYNC(program)
{
    static const int some[] = { 5, 1, 4, 2, 3 };
    entry a, b, c;
    ASYNC_BEGIN(program);
    ASYNC_PRIORITY_QUEUE_INIT(&self->p, compare_numbers);
    for (self->i = 0; self->i < 5; self->i++)
        AWAIT_QUEUE_PUT(&self->p, some[self->i]);
    for (self->i = 0; self->i < 5; self->i++)
        AWAIT_QUEUE_GET_INTO(self->got[self->i], &self->p);
    printf("[%d, %d, %d, %d, %d]\n", self->got[0], self->got[1], self->got[2],
           self->got[3], self->got[4]);
    ASYNC_LIFO_QUEUE_INIT(&self->l);
    for (self->i = 1; self->i <= 3; self->i++)
        AWAIT_QUEUE_PUT(&self->l, self->i);
    for (self->i = 0; self->i < 3; self->i++)
        AWAIT_QUEUE_GET_INTO(self->got[self->i], &self->l);
    printf("[%d, %d, %d]\n", self->got[0], self->got[1], self->got[2]);
    ASYNC_PRIORITY_QUEUE_INIT(&self->e, compare_entries);
    a.priority = 2, a.data = "b";
    ASYNC_QUEUE_PUT_NOWAIT(&self->e, a);
    a.priority = 1, a.data = "z";
    ASYNC_QUEUE_PUT_NOWAIT(&self->e, a);
    a.priority = 1, a.data = "a";
    ASYNC_QUEUE_PUT_NOWAIT(&self->e, a);
    ASYNC_QUEUE_GET_NOWAIT(&self->e, &a);
    ASYNC_QUEUE_GET_NOWAIT(&self->e, &b);
    ASYNC_QUEUE_GET_NOWAIT(&self->e, &c);
    printf("[(%d, '%s'), (%d, '%s'), (%d, '%s')]\n", a.priority, a.data,
           b.priority, b.data, c.priority, c.data);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
