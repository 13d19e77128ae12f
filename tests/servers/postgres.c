/* link: -luv -lpq -pthread */
/* PostgreSQL, with a real server at the other end: tests/scripts/postgres starts
 * it, and says in DATABASE how to connect to it, in DATABASE_BY_NAME how to do
 * so by TCP and a name, and in SERVER what starts, stops and kills it. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/net/postgres.h"
#include "../../async/scope.h"

#include "../unit/uv.h"

static const char *database;
static async_postgres db, other;

static void server(const char *what)
{
    char command[512];
    snprintf(command, sizeof command, "%s %s", getenv("SERVER"), what);
    if (system(command) != 0) fail_msg("%s", command);
}

/* The program of a test, with a connection. */
struct with_database { ASYNC_FRAME; async_object program; };
static ASYNC(with_database)
{
    ASYNC_BEGIN(with_database);
    memset(&db, 0, sizeof db);
    memset(&other, 0, sizeof other);
    ASYNC_TRY {
        AWAIT(async_postgres_connect, &db, database);
        AWAIT_CO(self->program);
    } ASYNC_FINALLY {
        async_postgres_close(&db);
        async_postgres_close(&other);
    } ASYNC_END_TRY
    ASYNC_END;
}
#define RUN(program) run(CO(with_database, program))

static void say_result(const async_postgres_result *result)
{
    int i, j;
    for (i = 0; i < result->rows; i++)
        for (j = 0; j < result->columns; j++)
            say("%s", async_postgres_is_null(result, i, j)
                          ? "NULL"
                          : async_postgres_value(result, i, j).data);
}

/* One query without parameters, and what came of it. */
struct ask {
    ASYNC_FRAME;
    async_postgres *on;
    const char *sql;
    async_postgres_result result;
    int error;
};
static ASYNC(ask)
{
    ASYNC_BEGIN(ask);
    ASYNC_TRY {
        AWAIT(async_postgres_query, self->on, &self->result, self->sql);
        say_result(&self->result);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
        if (self->error == ASYNC_EPOSTGRES || self->error == UV_EACCES ||
            self->error == ASYNC_EINTEGRITY ||
            self->error == ASYNC_ESERIALIZATION)
            say("%s", async_postgres_sqlstate(self->on));
        if (self->error == ASYNC_ECANCELED) ASYNC_RAISE(self->error);
    } ASYNC_FINALLY {
        async_postgres_clear(&self->result);
    } ASYNC_END_TRY
    ASYNC_END;
}
#define ONE CO(ask, &db, "SELECT 1")

/* --- connecting ---------------------------------------------------------- */

struct connects { ASYNC_FRAME; const char *conninfo; int error; };
static ASYNC(connects)
{
    ASYNC_BEGIN(connects);
    memset(&other, 0, sizeof other);
    AWAIT_CATCH(self->error, async_postgres_connect, &other, self->conninfo);
    say("%s:%s", name_of(self->error), async_postgres_sqlstate(&other));
    assert_true(self->error == 0 || other.text[0] != '\0');
    assert_int_equal(async_postgres_is_open(&other), self->error == 0);
    if (!self->error) {
        SAY_AWAIT("again", async_postgres_connect, &other, self->conninfo);
        AWAIT(ask, &other, "SELECT current_database()");
    }
    async_postgres_close(&other);
    async_postgres_close(&other);
    ASYNC_END;
}
static void connecting_says_what_is_wrong(void **state)
{
    char text[512];
    (void)state;
    run(CO(connects, database));
    assert_said("ok: again:ASYNC_EBUSY postgres");
    run(CO(connects, getenv("DATABASE_BY_NAME")));
    assert_said("ok: again:ASYNC_EBUSY postgres");
    snprintf(text, sizeof text, "%s dbname=nowhere", database);
    run(CO(connects, text));
    assert_said("ASYNC_EPOSTGRES:3D000");
    assert_string_equal(other.text, "database \"nowhere\" does not exist");
    snprintf(text, sizeof text, "%s user=guarded password=wrong", database);
    run(CO(connects, text));
    assert_said("EACCES:28P01");
    snprintf(text, sizeof text, "%s user=guarded", database);
    run(CO(connects, text));
    assert_said("EACCES:");
    snprintf(text, sizeof text, "%s user=guarded password=secret", database);
    run(CO(connects, text));
    assert_said("ok: again:ASYNC_EBUSY postgres");
    run(CO(connects, "host=/nonexistent"));
    assert_said("ECONNREFUSED:");
    run(CO(connects, "host=127.0.0.1 port=1"));
    assert_said("ECONNREFUSED:");
    run(CO(connects, "host=name.invalid"));
    assert_said("ECONNREFUSED:");
    run(CO(connects, "what=is this"));
    assert_said("ASYNC_EINVAL:");
}

/* --- queries ------------------------------------------------------------- */

struct parameters {
    ASYNC_FRAME;
    async_postgres_result result;
    const char *many[20];
    int i;
};
static ASYNC(parameters)
{
    static const unsigned char number[] = { 0, 0, 1, 2 };
    async_bytes value;
    ASYNC_BEGIN(parameters);
    AWAIT(async_postgres_query, &db, &self->result,
          "SELECT $1::int + $2::int, $3::text, $4::text IS NULL",
          ASYNC_POSTGRES("40", "2", "a'b", NULL));
    say_result(&self->result);
    assert_string_equal(PQfname(self->result.pg, 1), "text");
    AWAIT(async_postgres_query, &db, &self->result,
          "SELECT $1::int4, $2::bytea, $3::text, $4::text",
          ASYNC_POSTGRES_LIST(async_postgres_binary(number, 4),
                              async_postgres_binary("a\0b", 3),
                              async_postgres_text("x"), async_postgres_null()),
          .binary = 1);
    value = async_postgres_value(&self->result, 0, 0);
    assert_int_equal(value.size, 4);
    assert_memory_equal(value.data, number, 4);
    value = async_postgres_value(&self->result, 0, 1);
    assert_int_equal(value.size, 3);
    assert_memory_equal(value.data, "a\0b", 4);
    assert_true(async_postgres_is_null(&self->result, 0, 3));
    assert_true(async_postgres_is_null(&self->result, 1, 0));
    assert_true(async_postgres_is_null(&self->result, 0, -1));
    assert_int_equal(async_postgres_value(&self->result, 0, 4).size, 0);
    for (self->i = 0; self->i < 20; self->i++) self->many[self->i] = "1";
    AWAIT(async_postgres_query, &db, &self->result,
          "SELECT $1::int+$2::int+$3::int+$4::int+$5::int+$6::int+$7::int+"
          "$8::int+$9::int+$10::int+$11::int+$12::int+$13::int+$14::int+"
          "$15::int+$16::int+$17::int+$18::int+$19::int+$20::int",
          async__postgres_texts(self->many, 20));
    say_result(&self->result);
    async_postgres_clear(&self->result);
    AWAIT(async_postgres_execute, &db,
          "CREATE TEMP TABLE t (n int); INSERT INTO t VALUES (1), (2), (3)");
    AWAIT(async_postgres_query, &db, &self->result,
          "DELETE FROM t WHERE n > $1", ASYNC_POSTGRES("1"));
    say("deleted:%lld", async_postgres_affected(&self->result));
    AWAIT(async_postgres_prepare, &db, "plus", "SELECT $1::int + 1");
    AWAIT(async_postgres_query, &db, &self->result, "plus",
          ASYNC_POSTGRES("6"), .prepared = 1);
    say_result(&self->result);
    async_postgres_clear(&self->result);
    AWAIT(ask, &db, "");
    AWAIT(ask, &db, "DO $$ BEGIN RAISE NOTICE 'be quiet'; END $$");
    ASYNC_END;
}
static void queries_have_parameters_of_any_bytes(void **state)
{
    (void)state;
    RUN(CO(parameters));
    assert_said("42 a'b t 20 deleted:2 7");
}

struct failures { ASYNC_FRAME; int error; };
static ASYNC(failures)
{
    ASYNC_BEGIN(failures);
    AWAIT(ask, &db, "SELEKT");
    AWAIT(ask, &db, "SELECT 1; SELECT 2");
    AWAIT(async_postgres_execute, &db,
          "CREATE TEMP TABLE t (n int CONSTRAINT small CHECK (n < 10) PRIMARY "
          "KEY)");
    AWAIT(ask, &db, "INSERT INTO t VALUES (11)");
    say("%s", async_postgres_error_field(&db, PG_DIAG_CONSTRAINT_NAME));
    AWAIT(async_postgres_execute, &db, "INSERT INTO t VALUES (1)");
    AWAIT(ask, &db, "INSERT INTO t VALUES (1)");
    assert_string_equal(
        async_postgres_error(&db),
        "duplicate key value violates unique constraint \"t_pkey\"");
    AWAIT(ask, &db, "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40001'; END $$");
    AWAIT(ask, &db, "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '42501'; END $$");
    AWAIT(ask, &db, "COPY t FROM STDIN");
    AWAIT(ask, &db, "SELECT 1");
    SAY_AWAIT("many", async_postgres_query, &db, NULL, "SELECT 1",
              async__postgres_texts(NULL, 65536));
    AWAIT(ask, &db, "COPY t TO STDOUT");
    AWAIT(ask, &db, "SELECT 1");
    ASYNC_END;
}
static void errors_are_typed_and_leave_the_connection(void **state)
{
    (void)state;
    RUN(CO(failures));
    assert_said("ASYNC_EPOSTGRES 42601 ASYNC_EPOSTGRES 42601 "
                "ASYNC_EINTEGRITY 23514 small ASYNC_EINTEGRITY 23505 "
                "ASYNC_ESERIALIZATION 40001 EACCES 42501 "
                "ASYNC_EPOSTGRES 57014 1 many:ASYNC_EINVAL ENOTSUP ENOTSUP");
}

struct busy { ASYNC_FRAME; async_task *task; };
static ASYNC(busy)
{
    ASYNC_BEGIN(busy);
    self->task =
        async_create_task(CO(ask, &db, "SELECT 2 FROM pg_sleep(0.05)"));
    AWAIT(async_sleep, 0);
    AWAIT(ask, &db, "SELECT 1");
    AWAIT_JOIN(self->task);
    AWAIT(ask, &db, "SELECT 1");
    self->task = async_create_task(CO(ask, &db, "SELECT 2 FROM pg_sleep(5)"));
    AWAIT(async_sleep, ASYNC_MS(10));
    async_postgres_close(&db);
    AWAIT_JOIN(self->task);
    AWAIT(ask, &db, "SELECT 1");
    ASYNC_END;
}
static void one_task_at_a_time_uses_a_connection(void **state)
{
    (void)state;
    RUN(CO(busy));
    assert_said("ASYNC_EBUSY 2 1 ASYNC_ECLOSED ASYNC_ECLOSED");
}

/* --- row by row ---------------------------------------------------------- */

struct counting_rows {
    ASYNC_FRAME;
    const char *sql;
    int stop;
    int n, error;
    struct async_postgres_rows rows;
    async_postgres_result row;
};
static ASYNC(counting_rows)
{
    ASYNC_BEGIN(counting_rows);
    ASYNC_TRY {
        self->rows = ASYNC_GENERATOR(async_postgres_rows, &db, self->sql);
        ASYNC_FOR(self->row, &self->rows) {
            assert_int_equal(self->row.rows, 1);
            if (++self->n == self->stop) break;
            if (self->n == 7) AWAIT(async_sleep, ASYNC_MS(1));
        } ASYNC_END_FOR
        say("%d", self->n);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%d:%s", self->n, name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}
struct several_rows { ASYNC_FRAME; };
static ASYNC(several_rows)
{
    ASYNC_BEGIN(several_rows);
    AWAIT(counting_rows, "SELECT generate_series(1, 100000)");
    AWAIT(counting_rows, "SELECT 1 WHERE false");
    AWAIT(counting_rows, "SELECT 1/(3-n) FROM generate_series(1, 5) n");
    AWAIT(counting_rows, "SELEKT");
    /* without end, were it not left */
    AWAIT(counting_rows,
          "SELECT repeat('x', 1000), generate_series(1, 100000000)", 10);
    AWAIT(ask, &db, "SELECT 1");
    ASYNC_END;
}
static void rows_come_one_by_one(void **state)
{
    (void)state;
    RUN(CO(several_rows));
    assert_said("100000 0 2:ASYNC_EPOSTGRES 0:ASYNC_EPOSTGRES 10 1");
}

/* --- COPY ---------------------------------------------------------------- */

/* Writes so many lines, in pieces that do not end where they do, and ends it. */
static char lines[65536 * 4];
struct copies_in {
    ASYNC_FRAME;
    const char *sql;
    int count, piece;
    int from, error;
    size_t size, at, some;
    long long rows;
};
static ASYNC(copies_in)
{
    ASYNC_BEGIN(copies_in);
    ASYNC_TRY {
        AWAIT(async_postgres_copy_in, &db, self->sql);
        while (self->from < self->count) {
            for (self->size = 0;
                 self->from < self->count && self->size < sizeof lines - 100;
                 self->from++)
                self->size +=
                    (size_t)sprintf(lines + self->size, "%d\tline %d\n",
                                    self->from, self->from);
            for (self->at = 0; self->at < self->size; self->at += self->some) {
                self->some = self->size - self->at;
                if (self->some > (size_t)self->piece)
                    self->some = (size_t)self->piece;
                AWAIT(async_postgres_copy_write, &db, lines + self->at,
                      self->some);
            }
        }
        AWAIT_INTO(self->rows, async_postgres_copy_end, &db);
        say("in:%d", (int)self->rows);
    } ASYNC_EXCEPT_ANY(self->error) {
        say("in:%s %s", name_of(self->error), async_postgres_sqlstate(&db));
    } ASYNC_FINALLY {
        AWAIT(async_postgres_copy_abort, &db);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct copies_out {
    ASYNC_FRAME;
    const char *sql;
    int stop;
    struct async_postgres_copy_out all;
    async_bytes line;
    char wanted[64];
    int n, wrong, error;
};
static ASYNC(copies_out)
{
    ASYNC_BEGIN(copies_out);
    ASYNC_TRY {
        self->all = ASYNC_GENERATOR(async_postgres_copy_out, &db, self->sql);
        ASYNC_FOR(self->line, &self->all) {
            sprintf(self->wanted, "%d\tline %d\n", self->n, self->n);
            self->wrong += self->line.size != strlen(self->wanted) ||
                           strcmp(self->line.data, self->wanted) != 0;
            if (++self->n == self->stop) break;
            if (self->n == 7) AWAIT(async_sleep, ASYNC_MS(1));
        } ASYNC_END_FOR
        say("out:%d", self->n);
        if (!self->stop) assert_int_equal(self->wrong, 0);
    } ASYNC_EXCEPT_ANY(self->error) {
        say("out:%d:%s %s", self->n, name_of(self->error),
            async_postgres_sqlstate(&db));
    } ASYNC_END_TRY
    ASYNC_END;
}
struct copied { ASYNC_FRAME; };
static ASYNC(copied)
{
    ASYNC_BEGIN(copied);
    AWAIT(async_postgres_execute, &db,
          "CREATE TEMP TABLE c (n int PRIMARY KEY, t text)");
    AWAIT(copies_in, "COPY c FROM STDIN", 0, 1);
    AWAIT(copies_out, "COPY c TO STDOUT");
    AWAIT(copies_in, "COPY c FROM STDIN", 200000, 200000);
    AWAIT(copies_out, "COPY (SELECT * FROM c ORDER BY n) TO STDOUT");
    AWAIT(async_postgres_execute, &db, "TRUNCATE c");
    AWAIT(copies_in, "COPY c FROM STDIN", 2000, 3);
    AWAIT(copies_out, "COPY (SELECT * FROM c ORDER BY n) TO STDOUT");
    /* left before its end, which does not come otherwise */
    AWAIT(copies_out,
          "COPY (SELECT repeat('x', 1000), generate_series(1, 100000000)) "
          "TO STDOUT",
          10);
    AWAIT(ask, &db, "SELECT count(*) FROM c");
    ASYNC_END;
}
static void rows_are_copied_in_bulk(void **state)
{
    (void)state;
    RUN(CO(copied));
    assert_said(
        "in:0 out:0 in:200000 out:200000 in:2000 out:2000 out:10 2000");
}

struct copy_errors { ASYNC_FRAME; int error; async_task *task; };
static ASYNC(copy_errors)
{
    ASYNC_BEGIN(copy_errors);
    AWAIT(async_postgres_execute, &db,
          "CREATE TEMP TABLE c (n int PRIMARY KEY, t text)");
    AWAIT(copies_in, "COPY none FROM STDIN", 1, 1);
    AWAIT(copies_out, "COPY none TO STDOUT");
    AWAIT(copies_in, "SELECT 1", 1, 1);
    AWAIT(copies_out, "SELECT 1");
    AWAIT(copies_in, "COPY c (n) FROM STDIN", 100000, 100000); /* columns */
    AWAIT(ask, &db, "INSERT INTO c VALUES (5)");
    AWAIT(copies_in, "COPY c FROM STDIN", 10, 100); /* one is there */
    AWAIT(copies_out, "COPY c FROM STDIN");
    AWAIT(ask, &db, "SELECT count(*) FROM c");
    SAY_AWAIT("write", async_postgres_copy_write, &db, "x", 1);
    AWAIT_CATCH(self->error, async_postgres_copy_end, &db);
    say("%s", name_of(self->error));
    SAY_AWAIT("abort", async_postgres_copy_abort, &db);
    /* in use from the first to the last */
    SAY_AWAIT("begin", async_postgres_copy_in, &db, "COPY c FROM STDIN");
    AWAIT(ask, &db, "SELECT 1");
    SAY_AWAIT("again", async_postgres_copy_in, &db, "COPY c FROM STDIN");
    SAY_AWAIT("write", async_postgres_copy_write, &db, "1\t2\n", 4);
    SAY_AWAIT("abort", async_postgres_copy_abort, &db);
    SAY_AWAIT("abort", async_postgres_copy_abort, &db);
    AWAIT(ask, &db, "SELECT count(*) FROM c");
    SAY_AWAIT("begin", async_postgres_copy_in, &db, "COPY c FROM STDIN");
    async_postgres_close(&db);
    SAY_AWAIT("write", async_postgres_copy_write, &db, "1\t2\n", 4);
    SAY_AWAIT("abort", async_postgres_copy_abort, &db);
    ASYNC_END;
}
static void what_is_wrong_with_a_copy_leaves_the_connection(void **state)
{
    (void)state;
    RUN(CO(copy_errors));
    assert_said("in:ASYNC_EPOSTGRES 42P01 out:0:ASYNC_EPOSTGRES 42P01 "
                "in:ASYNC_EINVAL  out:0:ASYNC_EINVAL  "
                "in:ASYNC_EPOSTGRES 22P04 in:ASYNC_EINTEGRITY 23505 "
                "out:0:ASYNC_EPOSTGRES 57014 1 "
                "write:ASYNC_EINVALSTATE ASYNC_EINVALSTATE abort:ok "
                "begin:ok ASYNC_EBUSY again:ASYNC_EBUSY write:ok abort:ok "
                "abort:ok 1 begin:ok write:ASYNC_ECLOSED abort:ok");
}

/* --- pipelines ----------------------------------------------------------- */

static async_postgres_step steps[2000];
static char payload[10001];
static const char *const payloads[] = { payload };

struct piped { ASYNC_FRAME; int error; size_t i; };
static ASYNC(piped)
{
    ASYNC_BEGIN(piped);
    memset(steps, 0, sizeof steps);
    AWAIT(async_postgres_execute, &db, "CREATE TEMP TABLE t (n int UNIQUE)");
    steps[0].sql = "INSERT INTO t VALUES ($1)";
    steps[0].parameters = ASYNC_POSTGRES("1");
    steps[1].sql = "SELECT n FROM t";
    AWAIT(async_postgres_pipeline, &db, steps, 2);
    say_result(&steps[1].result);
    async_postgres_clear(&steps[1].result);
    /* the second fails: nothing of it is done */
    steps[0].parameters = ASYNC_POSTGRES("2");
    steps[1] = steps[0];
    memset(&steps[1].result, 0, sizeof steps[1].result);
    steps[2].sql = "SELECT 3";
    SAY_AWAIT("pipeline", async_postgres_pipeline, &db, steps, 3);
    say("%s %s %s", name_of(steps[0].error), name_of(steps[1].error),
        name_of(steps[2].error));
    AWAIT(ask, &db, "SELECT n FROM t");
    SAY_AWAIT("none", async_postgres_pipeline, &db, steps, 0);
    for (self->i = 0; self->i < 3; self->i++)
        async_postgres_clear(&steps[self->i].result);
    /* 20 MB in each direction: nobody waits for the other to read */
    memset(payload, 'x', sizeof payload - 1);
    for (self->i = 0; self->i < 2000; self->i++) {
        steps[self->i].sql = "SELECT $1::text";
        steps[self->i].parameters = async__postgres_texts(payloads, 1);
    }
    AWAIT(async_postgres_pipeline, &db, steps, 2000);
    for (self->i = 0; self->i < 2000; self->i++) {
        assert_int_equal(
            async_postgres_value(&steps[self->i].result, 0, 0).size, 10000);
        async_postgres_clear(&steps[self->i].result);
    }
    AWAIT(ask, &db, "SELECT 1");
    ASYNC_END;
}
static void a_pipeline_takes_one_round_trip(void **state)
{
    (void)state;
    RUN(CO(piped));
    assert_said("1 pipeline:ASYNC_EINTEGRITY ok ASYNC_EINTEGRITY "
                "ASYNC_ECANCELED 1 none:ok 1");
}

/* --- transactions -------------------------------------------------------- */

struct transact { ASYNC_FRAME; const char *sql; int error; };
static ASYNC(transact)
{
    ASYNC_BEGIN(transact);
    ASYNC_TRY {
        AWAIT(async_postgres_begin, &db);
        ASYNC_TRY {
            AWAIT(async_postgres_query, &db, NULL, "INSERT INTO t VALUES (1)");
            AWAIT_CATCH(self->error, async_postgres_query, &db, NULL,
                        self->sql);
            AWAIT(async_postgres_commit, &db);
        } ASYNC_FINALLY {
            AWAIT(async_postgres_rollback, &db);
        } ASYNC_END_TRY
        say("done");
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}
struct transactions { ASYNC_FRAME; int error; };
static ASYNC(transactions)
{
    ASYNC_BEGIN(transactions);
    AWAIT(async_postgres_execute, &db, "CREATE TEMP TABLE t (n int)");
    AWAIT(transact, "SELECT 1");
    AWAIT(ask, &db, "SELECT count(*) FROM t");
    AWAIT(transact, "SELEKT");
    AWAIT(ask, &db, "SELECT count(*) FROM t");
    SAY_AWAIT("begin", async_postgres_begin, &db, "READ ONLY");
    SAY_AWAIT("nested", async_postgres_begin, &db);
    AWAIT(ask, &db, "CREATE TABLE never (n int)");
    SAY_AWAIT("rollback", async_postgres_rollback, &db);
    SAY_AWAIT("again", async_postgres_rollback, &db);
    async_postgres_close(&db);
    SAY_AWAIT("closed", async_postgres_rollback, &db);
    ASYNC_END;
}
static void transactions_are_all_or_nothing(void **state)
{
    (void)state;
    RUN(CO(transactions));
    assert_said("done 1 ASYNC_EPOSTGRES 1 begin:ok nested:ASYNC_EINVALSTATE "
                "ASYNC_EPOSTGRES 25006 rollback:ok again:ok closed:ok");
}

/* --- notifications ------------------------------------------------------- */

struct hears {
    ASYNC_FRAME;
    int n;
    int error;
    struct async_postgres_notifications all;
    async_postgres_notification one;
};
static ASYNC(hears)
{
    ASYNC_BEGIN(hears);
    ASYNC_TRY {
        self->all = ASYNC_GENERATOR(async_postgres_notifications, &db);
        ASYNC_FOR(self->one, &self->all) {
            say("%s=%s", self->one.channel, self->one.payload);
            AWAIT(ask, &db, "SELECT 'query'");
            if (--self->n == 0) break;
        } ASYNC_END_FOR
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}
struct notified { ASYNC_FRAME; async_task *task; char sql[64]; int error; };
static ASYNC(notified)
{
    ASYNC_BEGIN(notified);
    AWAIT(async_postgres_connect, &other, database);
    AWAIT(async_postgres_listen, &db, "Odd \"name\"");
    AWAIT(async_postgres_listen, &db, "b");
    AWAIT(async_postgres_unlisten, &db, "b");
    self->task = async_create_task(CO(hears, 2));
    AWAIT(async_sleep, ASYNC_MS(10));
    AWAIT(ask, &other, "NOTIFY b, 'nobody'");
    AWAIT(async_postgres_query, &other, NULL, "SELECT pg_notify($1, $2)",
          ASYNC_POSTGRES("Odd \"name\"", "one"));
    AWAIT(async_postgres_query, &other, NULL, "SELECT pg_notify($1, $2)",
          ASYNC_POSTGRES("Odd \"name\"", "two"));
    AWAIT_JOIN(self->task);
    /* given up, and nothing is lost */
    self->task = async_create_task(CO(hears, 2));
    AWAIT(async_sleep, ASYNC_MS(5));
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    AWAIT(async_postgres_query, &other, NULL, "SELECT pg_notify($1, $2)",
          ASYNC_POSTGRES("Odd \"name\"", "three"));
    AWAIT(hears, 1);
    /* the server ends it */
    self->task = async_create_task(CO(hears, 2));
    AWAIT(async_sleep, ASYNC_MS(5));
    snprintf(self->sql, sizeof self->sql, "SELECT pg_terminate_backend(%d)",
             PQbackendPID(db.connection));
    AWAIT(async_postgres_execute, &other, self->sql);
    AWAIT_JOIN(self->task);
    AWAIT(ask, &db, "SELECT 1");
    ASYNC_END;
}
static void notifications_come_as_a_generator(void **state)
{
    (void)state;
    RUN(CO(notified));
    assert_said("Odd \"name\"=one query Odd \"name\"=two query "
                "ASYNC_ECANCELED Odd \"name\"=three query broken broken");
}

/* --- cancelling ---------------------------------------------------------- */

struct cancelled {
    ASYNC_FRAME;
    async_object object;
    int turns;
    async_duration wait;
    async_task *task;
    int error;
};
static ASYNC(cancelled)
{
    ASYNC_BEGIN(cancelled);
    self->task = async_create_task(self->object);
    for (; self->turns > 0; self->turns--) AWAIT(async_sleep, 0);
    if (self->wait) AWAIT(async_sleep, self->wait);
    async_task_cancel(self->task);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    ASYNC_END;
}

struct pipe_sleep { ASYNC_FRAME; };
static ASYNC(pipe_sleep)
{
    ASYNC_BEGIN(pipe_sleep);
    memset(steps, 0, 3 * sizeof *steps);
    steps[0].sql = "SELECT 1";
    steps[1].sql = "SELECT pg_sleep(30)";
    steps[2].sql = "SELECT 3";
    AWAIT(async_postgres_pipeline, &db, steps, 3);
    ASYNC_END;
}

/* A server that takes its time with each row, so that writing has to wait. */
struct cancels_copies { ASYNC_FRAME; async_task *task; int error; };
static ASYNC(cancels_copies)
{
    ASYNC_BEGIN(cancels_copies);
    AWAIT(async_postgres_execute, &db,
          "CREATE TEMP TABLE c (n int, t text);"
          "CREATE FUNCTION pg_temp.slow() RETURNS trigger LANGUAGE plpgsql AS "
          "$$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$;"
          "CREATE TRIGGER slow BEFORE INSERT ON c FOR EACH ROW EXECUTE "
          "FUNCTION pg_temp.slow()");
    /* where it writes: it has not got far, and so was held back */
    self->task = async_create_task(
        CO(copies_in, "COPY c FROM STDIN", 10000000, 200000));
    AWAIT(async_sleep, ASYNC_MS(300));
    assert_true(waits(self->task));
    AWAIT(ask, &db, "SELECT 1");
    SAY_AWAIT("other", async_postgres_copy_write, &db, "x", 1);
    SAY_AWAIT("other", async_postgres_copy_abort, &db);
    async_task_cancel(self->task);
    AWAIT(say_end, self->task, "write");
    AWAIT(ask, &db, "SELECT 1");
    /* where it waits for the end */
    AWAIT(cancelled, CO(copies_in, "COPY c FROM STDIN", 1, 100), 0,
          ASYNC_MS(100));
    AWAIT(ask, &db, "SELECT 2");
    /* and where it begins, and in the middle of what comes */
    AWAIT(cancelled,
          CO(copies_out, "COPY (SELECT pg_sleep(30)) TO STDOUT", -1), 0,
          ASYNC_MS(50));
    AWAIT(ask, &db, "SELECT 3");
    AWAIT(cancelled,
          CO(copies_out,
             "COPY (SELECT repeat('x', 1000), generate_series(1, 100000000)) "
             "TO STDOUT",
             -1),
          0, ASYNC_MS(50));
    AWAIT(ask, &db, "SELECT count(*) FROM c");
    ASYNC_END;
}
static void cancelling_a_copy_keeps_the_connection(void **state)
{
    (void)state;
    RUN(CO(cancels_copies));
    assert_said("ASYNC_EBUSY other:ASYNC_EBUSY other:ASYNC_EBUSY "
                "write:ASYNC_ECANCELED 1 2 3 0");
}

struct cancels {
    ASYNC_FRAME;
    async_time start;
    int turns;
    async_task *task;
    int error;
};
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    self->start = async_loop_time(async_loop_of(co));
    AWAIT(cancelled, CO(ask, &db, "SELECT pg_sleep(30)"), 0, ASYNC_MS(20));
    AWAIT(ask, &db, "SELECT 1");
    AWAIT(cancelled, CO(pipe_sleep), 0, ASYNC_MS(20));
    assert_null(steps[0].result.pg);
    AWAIT(ask, &db, "SELECT 2");
    AWAIT(cancelled,
          CO(counting_rows,
             "SELECT pg_sleep(n * 10) FROM generate_series(0, 3) n"),
          0, ASYNC_MS(20));
    AWAIT(ask, &db, "SELECT 3");
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_MS(20), ask, &db, "SELECT pg_sleep(30)");
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        say("late");
    } ASYNC_END_TRY
    AWAIT(ask, &db, "SELECT 4");
    /* twice: it is closed */
    self->task = async_create_task(CO(ask, &db, "SELECT pg_sleep(30)"));
    AWAIT(async_sleep, ASYNC_MS(20));
    async_task_cancel(self->task);
    AWAIT(async_sleep, 0);
    async_task_cancel(self->task);
    AWAIT(say_end, self->task, "twice");
    AWAIT(ask, &db, "SELECT 5");
    assert_true(async_loop_time(async_loop_of(co)) - self->start <
                ASYNC_SECONDS(20));
    ASYNC_END;
}
static void cancelling_ends_the_query_and_keeps_the_connection(void **state)
{
    (void)state;
    RUN(CO(cancels));
    assert_said("ASYNC_ECANCELED 1 2 0:ASYNC_ECANCELED 3 ASYNC_ECANCELED late "
                "4 ASYNC_ECANCELED twice:ASYNC_ECANCELED ASYNC_ECLOSED");
}

/* In a scope that is cancelled nothing can be waited for but the query's end. */
struct scoped { ASYNC_FRAME; async_scope limit; };
static ASYNC(scoped)
{
    ASYNC_BEGIN(scoped);
    ASYNC_MOVE_ON_AFTER(&self->limit, ASYNC_MS(200)) {
        ASYNC_TRY {
            AWAIT(async_postgres_begin, &db);
            AWAIT(ask, &db, "SELECT pg_sleep(30)");
        } ASYNC_FINALLY {
            AWAIT(async_postgres_rollback, &db);
        } ASYNC_END_TRY
    }
    ASYNC_END_SCOPE
    say("moved on");
    AWAIT(async_postgres_rollback, &db);
    AWAIT(ask, &db, "SELECT 1");
    ASYNC_END;
}
static void a_cancelled_scope_keeps_the_connection(void **state)
{
    (void)state;
    RUN(CO(scoped));
    assert_said("ASYNC_ECANCELED moved on 1");
}

/* At the nth turn, wherever that is: afterwards it can be used, or is closed. */
static int whole_is_over;
struct whole {
    ASYNC_FRAME;
    async_postgres_result result;
    struct async_postgres_rows rows;
    async_postgres_result row;
    struct async_postgres_copy_out lines;
    async_bytes line;
};
static ASYNC(whole)
{
    size_t i;
    ASYNC_BEGIN(whole);
    ASYNC_TRY {
        AWAIT(async_postgres_connect, &other, database);
        AWAIT(async_postgres_begin, &other);
        ASYNC_TRY {
            AWAIT(async_postgres_query, &other, &self->result,
                  "SELECT repeat($1, 100000)", ASYNC_POSTGRES("x"));
            AWAIT(async_postgres_commit, &other);
        } ASYNC_FINALLY {
            AWAIT(async_postgres_rollback, &other);
        } ASYNC_END_TRY
        AWAIT(async_postgres_listen, &other, "x");
        memset(steps, 0, 2 * sizeof *steps);
        steps[0].sql = steps[1].sql = "SELECT 1";
        AWAIT(async_postgres_pipeline, &other, steps, 2);
        self->rows = ASYNC_GENERATOR(async_postgres_rows, &other,
                                     "SELECT generate_series(1, 3)");
        ASYNC_FOR(self->row, &self->rows) {
            break;
        } ASYNC_END_FOR
        AWAIT(async_postgres_execute, &other, "CREATE TEMP TABLE c (t text)");
        AWAIT(async_postgres_copy_in, &other, "COPY c FROM STDIN");
        ASYNC_TRY {
            memset(lines, 'x', sizeof lines);
            for (i = 1024; i <= sizeof lines; i += 1024) lines[i - 1] = '\n';
            AWAIT(async_postgres_copy_write, &other, lines, sizeof lines);
            AWAIT(async_postgres_copy_end, &other);
        } ASYNC_FINALLY {
            AWAIT(async_postgres_copy_abort, &other);
        } ASYNC_END_TRY
        self->lines = ASYNC_GENERATOR(async_postgres_copy_out, &other,
                                      "COPY c TO STDOUT");
        ASYNC_FOR(self->line, &self->lines) {}
        ASYNC_END_FOR
        self->lines = ASYNC_GENERATOR(
            async_postgres_copy_out, &other,
            "COPY (SELECT generate_series(1, 100000)) TO STDOUT");
        ASYNC_FOR(self->line, &self->lines) {
            break;
        } ASYNC_END_FOR
        whole_is_over = 1;
    } ASYNC_FINALLY {
        async_postgres_clear(&self->result);
        async_postgres_clear(&steps[0].result);
        async_postgres_clear(&steps[1].result);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct at_each_turn { ASYNC_FRAME; int turns; int error; };
static ASYNC(at_each_turn)
{
    ASYNC_BEGIN(at_each_turn);
    memset(&other, 0, sizeof other);
    AWAIT(cancelled, CO(whole), self->turns);
    if (async_postgres_is_open(&other)) {
        assert_null(other.owner);
        AWAIT(ask, &other, "ROLLBACK");
        AWAIT(ask, &other, "SELECT 1");
        assert_said("1");
    }
    async_postgres_close(&other);
    ASYNC_END;
}
static void cancelling_at_every_step_leaves_nothing(void **state)
{
    int turns;
    (void)state;
    whole_is_over = 0;
    for (turns = 0; turns < 10000000 && !whole_is_over;
         turns += turns < 60 ? 1 : 1 + turns / 8) {
        run(CO(at_each_turn, turns));
        unit_begin(NULL);
    }
    assert_true(whole_is_over);
}

/* --- faults, and pools --------------------------------------------------- */

static async_postgres_pool pool;
static async_net_pool_options limits;

struct borrow {
    ASYNC_FRAME;
    const char *name, *sql;
    async_postgres *mine;
    async_postgres_result result;
    int error;
};
static ASYNC(borrow)
{
    ASYNC_BEGIN(borrow);
    ASYNC_TRY {
        AWAIT_INTO(self->mine, async_postgres_acquire, &pool);
        AWAIT(async_postgres_query, self->mine, &self->result,
              self->sql ? self->sql : "SELECT 1");
        say("%s:%s", self->name,
            async_postgres_value(&self->result, 0, 0).data);
    } ASYNC_EXCEPT_ANY(self->error) {
        say("%s:%s", self->name, name_of(self->error));
        if (self->mine != NULL && self->error == UV_ECONNRESET)
            say("(%s)", async_postgres_sqlstate(self->mine));
    } ASYNC_FINALLY {
        async_postgres_clear(&self->result);
        async_postgres_release(&pool, self->mine);
    } ASYNC_END_TRY
    ASYNC_END;
}
static int pid_of_idle(void)
{
    async__pooled *pooled = (async__pooled *)(void *)pool.pool.idle.next;
    return PQbackendPID(
        ((async_postgres *)async__pooled_connection(pooled))->connection);
}
struct gives_up { ASYNC_FRAME; };
static ASYNC(gives_up)
{
    ASYNC_BEGIN(gives_up);
    AWAIT(cancelled, CO(borrow, "g"), 0, ASYNC_MS(10));
    ASYNC_END;
}
struct pooled {
    ASYNC_FRAME;
    async_gathering all;
    async_task *task;
    int error, pid;
    char sql[64];
};
static ASYNC(pooled)
{
    ASYNC_BEGIN(pooled);
    memset(&pool, 0, sizeof pool);
    limits.max_size = 2;
    assert_int_equal(
        async_postgres_pool_open(&pool, async_loop_of(co), database, &limits),
        0);
    ASYNC_TRY {
        AWAIT_GATHER(&self->all,
                     CO(borrow, "a", "SELECT 1 FROM pg_sleep(0.03)"),
                     CO(borrow, "b", "SELECT 1 FROM pg_sleep(0.5)"),
                     CO(borrow, "c"), CO(borrow, "d"));
        async_gather_clear(&self->all);
        say("idle:%d", (int)async_net_pool_idle(&pool.pool));
        /* who waits too long gives up, and nobody else is harmed */
        AWAIT_GATHER(&self->all,
                     CO(borrow, "e", "SELECT 1 FROM pg_sleep(0.05)"),
                     CO(borrow, "f", "SELECT 1 FROM pg_sleep(0.6)"),
                     CO(gives_up), CO(borrow, "h"));
        async_gather_clear(&self->all);
        /* in a transaction it does not come back */
        AWAIT(borrow, "i", "BEGIN");
        say("idle:%d", (int)async_net_pool_idle(&pool.pool));
        /* ended by the server, while unused and while used */
        self->pid = pid_of_idle();
        snprintf(self->sql, sizeof self->sql,
                 "SELECT pg_terminate_backend(%d)", self->pid);
        AWAIT(async_postgres_execute, &db, self->sql);
        AWAIT(async_sleep, ASYNC_MS(20));
        AWAIT(borrow, "j");
        assert_int_not_equal(pid_of_idle(), self->pid);
        AWAIT(borrow, "k", "SELECT pg_terminate_backend(pg_backend_pid())");
        AWAIT(borrow, "l");
        /* a restart */
        self->task = async_create_task(CO(borrow, "m", "SELECT pg_sleep(30)"));
        AWAIT(async_sleep, ASYNC_MS(100));
        server("stop");
        AWAIT_JOIN(self->task);
        AWAIT(borrow, "n");
        server("start");
        AWAIT(borrow, "o");
        /* and a crash */
        self->task = async_create_task(CO(borrow, "p", "SELECT pg_sleep(30)"));
        AWAIT(async_sleep, ASYNC_MS(100));
        server("crash");
        AWAIT_JOIN(self->task);
        server("start");
        AWAIT(borrow, "q");
    } ASYNC_FINALLY {
        async_postgres_pool_close(&pool);
    } ASYNC_END_TRY
    AWAIT(borrow, "r");
    ASYNC_END;
}
static void a_pool_outlives_the_server(void **state)
{
    char *heard = unit_said;
    (void)state;
    RUN(CO(pooled));
    /* the words of a crash depend on who is faster */
    assert_non_null(strstr(heard, "p:broken"));
    heard = strstr(heard, "p:broken") + strlen("p:broken");
    memmove(heard, strchr(heard, ')') + 1, strlen(strchr(heard, ')')));
    assert_said("a:1 c:1 d:1 b:1 idle:2 e:1 h:1 f:1 i: idle:1 j:1 "
                "k:broken (57P01) l:1 m:broken (57P01) n:ECONNREFUSED o:1 "
                "p:broken q:1 r:ASYNC_ECLOSED");
}

/* --- memory, and the end of the loop ------------------------------------- */

struct everything { ASYNC_FRAME; };
static ASYNC(everything)
{
    ASYNC_BEGIN(everything);
    ASYNC_TRY {
        AWAIT(whole);
    } ASYNC_FINALLY {
        async_postgres_close(&other);
    } ASYNC_END_TRY
    ASYNC_END;
}
static void no_memory_is_an_error(void **state)
{
    (void)state;
    /* Without memory a query that is left cannot be cancelled, and so the
     * connection is closed. */
    RUN_REFUSING_EACH(memset(&other, 0, sizeof other), CO(everything),
                      ASYNC_ECLOSED);
}

static void a_loop_may_be_closed_with_all_of_it_open(void **state)
{
    async_uv_loop loop;
    async_handle stopper;
    int i;
    (void)state;
    for (i = 0; i < 3; i++) {
        memory_begin();
        async_uv_loop_init(&loop, NULL, &counting_allocator);
        async_loop_set_exception_handler(&loop.base, say_report, NULL);
        memset(&other, 0, sizeof other);
        memset(&db, 0, sizeof db);
        memset(&stopper, 0, sizeof stopper);
        async_loop_call_later(&loop.base, &stopper, ASYNC_MS(30), stop,
                              &loop.base);
        if (i == 0) { /* what is open, and nobody uses */
            async_handle_cancel(&stopper);
            async_loop_run_until_complete(&loop.base, CO(whole));
        } else {
            async_task_release(async_loop_create_task(
                &loop.base,
                i == 1 ? CO(with_database, CO(ask, &db, "SELECT pg_sleep(30)"))
                       : CO(pooled)));
            async_loop_run_forever(&loop.base);
        }
        async_loop_close(&loop.base);
        assert_int_equal(memory.live, 0);
    }
    unit_begin(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(connecting_says_what_is_wrong),
        TEST(queries_have_parameters_of_any_bytes),
        TEST(errors_are_typed_and_leave_the_connection),
        TEST(one_task_at_a_time_uses_a_connection),
        TEST(rows_come_one_by_one),
        TEST(rows_are_copied_in_bulk),
        TEST(what_is_wrong_with_a_copy_leaves_the_connection),
        TEST(a_pipeline_takes_one_round_trip),
        TEST(transactions_are_all_or_nothing),
        TEST(notifications_come_as_a_generator),
        TEST(cancelling_ends_the_query_and_keeps_the_connection),
        TEST(cancelling_a_copy_keeps_the_connection),
        TEST(a_cancelled_scope_keeps_the_connection),
        TEST(cancelling_at_every_step_leaves_nothing),
        TEST(a_pool_outlives_the_server),
        TEST(no_memory_is_an_error),
        TEST(a_loop_may_be_closed_with_all_of_it_open)
    };
    database = getenv("DATABASE");
    if (database == NULL || getenv("SERVER") == NULL) {
        fprintf(stderr, "tests/scripts/postgres runs this\n");
        return 2;
    }
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
