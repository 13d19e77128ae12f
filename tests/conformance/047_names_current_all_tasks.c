#include "conformance.h"

#include <ctype.h>

typedef const char *text;

struct inner { ASYNC_RETURNS(text); };
static ASYNC(inner)
{
    ASYNC_BEGIN(inner);
    ASYNC_RETURN(async_task_get_name(async_current_task()));
    ASYNC_END;
}

struct w { ASYNC_RETURNS(text); text name; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    AWAIT(async_sleep, 0);
    AWAIT_INTO(self->name, inner);
    ASYNC_RETURN(self->name);
    ASYNC_END;
}

static int cb(void *argument)
{
    (void)argument;
    printf("callback %s\n", async_current_task() == NULL ? "None" : "?");
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const text *)a, *(const text *)b);
}

/* print(sorted(t.get_name() for t in asyncio.all_tasks())) */
static void print_names(const async_loop *loop)
{
    text names[3];
    async_task *task = NULL;
    size_t i, n = 0;
    while (n < 3 && (task = async_all_tasks(loop, task)) != NULL)
        names[n++] = async_task_get_name(task);
    qsort(names, n, sizeof *names, by_text);
    for (i = 0; i < n; i++) printf("%s'%s'", i == 0 ? "[" : ", ", names[i]);
    puts("]");
}

static int is_number(text digits)
{
    if (*digits == '\0') return 0;
    while (isdigit((unsigned char)*digits)) digits++;
    return *digits == '\0';
}

struct program { ASYNC_FRAME; ASYNC_TASK_OF(w) t1, t2, t3; text a, b, c; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_task_set_name(async_current_task(), "main");
    ASYNC_SPAWN(self->t1, w);
    async_task_set_name(self->t1.task, "one");
    ASYNC_SPAWN(self->t2, w);
    async_task_set_name(self->t2.task, "22");
    print_names(async_loop_of(co));
    async_loop_call_soon(async_loop_of(co), NULL, cb, NULL);
    AWAIT_JOIN_INTO(self->a, self->t1);
    AWAIT_JOIN_INTO(self->b, self->t2);
    AWAIT_INTO(self->c, inner);
    printf("%s %s %s\n", self->a, self->b, self->c);
    print_names(async_loop_of(co));
    ASYNC_SPAWN(self->t3, w);
    {
        text name = async_task_get_name(self->t3.task);
        printf("%s %s\n", boolean(strncmp(name, "Task-", 5) == 0),
               boolean(is_number(name + 5)));
    }
    AWAIT_JOIN(self->t3.task);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
