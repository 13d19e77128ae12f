/* parallel_dns - looks up many names at once, so many at a time, and prints
 * what each has come to, in the order in which they were asked for.
 *
 * Usage: parallel_dns [NAME...]        without names: some of this machine
 */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/dns.h" /* first: uv.h needs POSIX */
#include "../async/sync.h"

#include <stdio.h>
#include <stdlib.h>

enum { AT_ONCE = 4 };

typedef struct answer {
    const char *name;
    struct addrinfo *found;
    int error;
    async_duration took;
} answer;

struct look_up {
    ASYNC_FRAME;
    async_semaphore *limit;
    answer *answer;
    struct addrinfo hints;
    async_time start;
};
static ASYNC(look_up)
{
    ASYNC_BEGIN(look_up);
    ASYNC_WITH(async_semaphore, self->limit) {
        self->start = async_loop_time(async_loop_of(co));
        self->hints.ai_socktype = SOCK_STREAM; /* each address once */
        AWAIT_CATCH_INTO(self->answer->error, self->answer->found,
                         async_getaddrinfo, self->answer->name, NULL,
                         &self->hints);
        self->answer->took = async_loop_time(async_loop_of(co)) - self->start;
    } ASYNC_END_WITH
    ASYNC_END;
}

static void print_answer(const answer *one)
{
    const struct addrinfo *a;
    char text[64];
    printf("%s:", one->name);
    if (one->error) printf(" %s", async_strerror(one->error));
    for (a = one->found; a != NULL; a = a->ai_next) {
        if (a->ai_family == AF_INET)
            uv_ip4_name((const struct sockaddr_in *)(const void *)a->ai_addr,
                        text, sizeof text);
        else
            uv_ip6_name((const struct sockaddr_in6 *)(const void *)a->ai_addr,
                        text, sizeof text);
        printf(" %s", text);
    }
    if (one->took >= ASYNC_SECONDS(1))
        printf(" (%.1f s)\n", (double)one->took / ASYNC_SECONDS(1));
    else
        printf(" (in less than a second)\n");
}

struct program {
    ASYNC_FRAME;
    answer *answers;
    int count;
    async_semaphore limit;
    async_gathering all;
    int i;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_semaphore_init(&self->limit, AT_ONCE);
    for (self->i = 0; self->i < self->count; self->i++)
        async_gather_add(&self->all,
                         CO(look_up, &self->limit, &self->answers[self->i]));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    ASYNC_END;
}

int main(int argc, char **argv)
{
    static const char *const some[] = { "127.0.0.1",        "::1",
                                        "127.0.0.2",        "127.1",
                                        "::ffff:127.0.0.3", "0" };
    int given = argc > 1, i, error;
    int count = given ? argc - 1 : (int)(sizeof some / sizeof *some);
    answer *answers = (answer *)calloc((size_t)count, sizeof *answers);
    if (answers == NULL) return 1;
    for (i = 0; i < count; i++)
        answers[i].name = given ? argv[i + 1] : some[i];
    error = async_run(CO(program, answers, count));
    for (i = 0; i < count; i++) {
        if (!error) print_answer(&answers[i]);
        async_freeaddrinfo(answers[i].found);
    }
    free(answers);
    return error ? 1 : 0;
}
