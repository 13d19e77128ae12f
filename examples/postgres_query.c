/* postgres_query - a table in PostgreSQL: written in a pipeline, read row by
 * row, changed in a transaction, and what happens when that is not allowed.
 *
 *     postgres_query [CONNINFO]      as libpq has it: "dbname=shop user=web"
 *
 * tests/scripts/postgres runs it.
 */
#define ASYNC_IMPLEMENTATION
#include "../async/net/postgres.h"

#include <stdio.h>

static const char *const wares[][2] = { { "apple", "30" },
                                        { "bread", "250" },
                                        { "cheese", "700" },
                                        { "date", "15" } };
enum { WARES = sizeof wares / sizeof *wares };

/* One after the other would take as many round trips. */
struct fill {
    ASYNC_FRAME;
    async_postgres *db;
    int i;
    async_postgres_step steps[WARES];
};
static ASYNC(fill)
{
    ASYNC_BEGIN(fill);
    AWAIT(async_postgres_execute, self->db,
          "CREATE TEMP TABLE wares (name text PRIMARY KEY,"
          " price int CONSTRAINT not_free CHECK (price > 0))");
    for (; self->i < WARES; self->i++) {
        self->steps[self->i].sql = "INSERT INTO wares VALUES ($1, $2)";
        self->steps[self->i].parameters.texts = wares[self->i];
        self->steps[self->i].parameters.count = 2;
    }
    ASYNC_TRY {
        AWAIT(async_postgres_pipeline, self->db, self->steps, WARES);
        printf("%d wares\n", WARES);
    } ASYNC_FINALLY {
        for (self->i = 0; self->i < WARES; self->i++)
            async_postgres_clear(&self->steps[self->i].result);
    } ASYNC_END_TRY
    ASYNC_END;
}

static const char *const limit[] = { "500" };

/* However many there are, one at a time is in memory. */
struct show {
    ASYNC_FRAME;
    async_postgres *db;
    async_postgres_parameters cheap;
    struct async_postgres_rows rows;
    async_postgres_result row;
};
static ASYNC(show)
{
    ASYNC_BEGIN(show);
    self->cheap.texts = limit;
    self->cheap.count = 1;
    self->rows = ASYNC_GENERATOR(
        async_postgres_rows, self->db,
        "SELECT name, price FROM wares WHERE price < $1 ORDER BY price",
        self->cheap);
    ASYNC_FOR(self->row, &self->rows) {
        printf("%s costs %s\n", async_postgres_value(&self->row, 0, 0).data,
               async_postgres_value(&self->row, 0, 1).data);
    } ASYNC_END_FOR
    ASYNC_END;
}

/* All of it or nothing. */
struct discount {
    ASYNC_FRAME;
    async_postgres *db;
    const char *off;
    async_postgres_result changed;
    int error;
};
static ASYNC(discount)
{
    ASYNC_BEGIN(discount);
    ASYNC_TRY {
        AWAIT(async_postgres_begin, self->db);
        AWAIT(async_postgres_query, self->db, &self->changed,
              "UPDATE wares SET price = price - $1",
              ASYNC_POSTGRES(self->off));
        AWAIT(async_postgres_commit, self->db);
        printf("%s off %lld wares\n", self->off,
               async_postgres_affected(&self->changed));
    } ASYNC_EXCEPT(ASYNC_EINTEGRITY) {
        printf("%s off: no (%s)\n", self->off,
               async_postgres_error_field(self->db, PG_DIAG_CONSTRAINT_NAME));
    } ASYNC_FINALLY {
        async_postgres_clear(&self->changed);
        AWAIT(async_postgres_rollback, self->db);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    const char *conninfo;
    async_postgres db;
    int error;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_SECONDS(10), async_postgres_connect, &self->db,
                       self->conninfo);
        AWAIT(fill, &self->db);
        AWAIT(discount, &self->db, "10");
        AWAIT(discount, &self->db, "20");
        AWAIT(show, &self->db);
        ASYNC_TRY {
            AWAIT_WAIT_FOR(ASYNC_MS(50), async_postgres_query, &self->db, NULL,
                           "SELECT pg_sleep(60)");
        } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
            puts("that took too long, and the server has given it up");
        } ASYNC_END_TRY
        AWAIT(async_postgres_query, &self->db, NULL, "DROP TABLE wares");
    } ASYNC_EXCEPT_ANY(self->error) {
        printf("%s: %s\n", async_strerror(self->error),
               async_postgres_error(&self->db));
        ASYNC_RAISE(self->error);
    } ASYNC_FINALLY {
        async_postgres_close(&self->db);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(int argc, char **argv)
{
    return async_run(CO(program, argc > 1 ? argv[1] : "")) != 0;
}
