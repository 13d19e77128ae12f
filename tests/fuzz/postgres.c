/* What a PostgreSQL server says, as the fuzzer has it, to one who connects,
 * queries in every way, copies, and gives up at times.  The first byte of the
 * input says in which order; above 249 it is about COPY, and the second byte
 * says it.  libpq parses; what is done with its results, and in which state the
 * connection is, is ours. */
#define _GNU_SOURCE
#define ASYNC_IMPLEMENTATION
#define ASYNC_POSTGRES_PATIENCE ASYNC_MS(5)
#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
#include <postgresql/libpq-fe.h>
#endif

#include "target.h"

/* libpq 15 leaks of some messages that are no good, so it is not looked at
 * itself, but all that it gives must be given back. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
static long results, connections;
static PGresult *counted_result(PGconn *connection)
{
    PGresult *result = PQgetResult(connection);
    results += result != NULL;
    return result;
}
static void counted_clear(PGresult *result)
{
    results -= result != NULL;
    PQclear(result);
}
/* What PQfreemem is to be given: notifications and pieces of a COPY. */
static void *given[8];
static void give(void *memory)
{
    size_t i = 0;
    if (memory == NULL) return;
    while (given[i] != NULL) {
        i++;
        CHECK(i < sizeof given / sizeof given[0]);
    }
    given[i] = memory;
}
static void take_back(void *memory)
{
    size_t i;
    for (i = 0; i < sizeof given / sizeof given[0]; i++)
        if (given[i] == memory) given[i] = NULL;
}
static int all_taken_back(void)
{
    size_t i;
    for (i = 0; i < sizeof given / sizeof given[0]; i++)
        if (given[i] != NULL) return 0;
    return 1;
}
static PGnotify *counted_notify(PGconn *connection)
{
    PGnotify *next = PQnotifies(connection);
    give(next);
    return next;
}
static int counted_piece(PGconn *connection, char **data, int at_once)
{
    int size = PQgetCopyData(connection, data, at_once);
    give(*data);
    return size;
}
static void counted_freemem(void *memory)
{
    take_back(memory);
    PQfreemem(memory);
}
static PGconn *counted_connection(const char *conninfo)
{
    PGconn *connection = PQconnectStart(conninfo);
    connections += connection != NULL;
    return connection;
}
static void counted_finish(PGconn *connection)
{
    connections -= connection != NULL;
    PQfinish(connection);
}
#define PQgetResult counted_result
#define PQclear counted_clear
#define PQnotifies counted_notify
#define PQgetCopyData counted_piece
#define PQfreemem counted_freemem
#define PQconnectStart counted_connection
#define PQfinish counted_finish
#include "../../async/net/postgres.h"

#include "socket_server.h"

static void look(const async_postgres_result *result)
{
    int row, column;
    CHECK(result->rows >= 0 && result->columns >= 0);
    for (row = 0; row <= result->rows; row++)
        for (column = 0; column <= result->columns; column++) {
            async_bytes value = async_postgres_value(result, row, column);
            CHECK(value.data != NULL && strlen(value.data) <= value.size);
            CHECK(value.data[value.size] == '\0');
            if (async_postgres_is_null(result, row, column))
                CHECK(value.size == 0);
        }
    (void)async_postgres_affected(result);
}

static void expect(const async_postgres *db, int error)
{
    CHECK(error == 0 || error == ASYNC_EPOSTGRES ||
          error == ASYNC_EINTEGRITY || error == ASYNC_ESERIALIZATION ||
          error == UV_EACCES || error == UV_ECONNRESET ||
          error == UV_ECONNREFUSED || error == UV_EPROTO ||
          error == UV_ENOTSUP || error == ASYNC_ECLOSED ||
          error == ASYNC_ENOMEM || error == ASYNC_ETIMEDOUT ||
          error == ASYNC_EINVALSTATE || error == ASYNC_EINVAL);
    CHECK(strlen(async_postgres_error(db)) < 512);
    CHECK(strlen(async_postgres_sqlstate(db)) < 6);
    (void)async_postgres_error_field(db, PG_DIAG_CONSTRAINT_NAME);
}

/* A COPY that comes to its end, is given up, takes too long, or is of rows that
 * are read, all or some. */
struct copies {
    ASYNC_FRAME;
    async_postgres *db;
    unsigned what;
    unsigned i;
    struct async_postgres_copy_out lines;
    async_bytes line;
    long long rows;
    async_timeout timeout;
};
static ASYNC(copies)
{
    static const char rows[70000] = "1\n2\n3\n";
    ASYNC_BEGIN(copies);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->timeout, self->what & 8 ? 0 : ASYNC_MS(5)) {
            if (self->what & 1) {
                AWAIT(async_postgres_copy_in, self->db, "COPY t FROM STDIN");
                for (self->i = 0; self->i < 3; self->i++)
                    AWAIT(async_postgres_copy_write, self->db, rows,
                          self->what & 4 ? sizeof rows : 6);
                if (self->what & 2) {
                    AWAIT_INTO(self->rows, async_postgres_copy_end, self->db);
                    CHECK(self->rows >= 0);
                }
            } else {
                self->lines = ASYNC_GENERATOR(async_postgres_copy_out,
                                              self->db, "COPY t TO STDOUT");
                ASYNC_FOR(self->line, &self->lines) {
                    CHECK(strlen(self->line.data) <= self->line.size);
                    CHECK(self->line.data[self->line.size] == '\0');
                    if (self->what & 2 && ++self->i == 2) break;
                } ASYNC_END_FOR
            }
        } ASYNC_END_TIMEOUT
    } ASYNC_FINALLY {
        AWAIT(async_postgres_copy_abort, self->db);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct client {
    ASYNC_FRAME;
    unsigned what, copying;
    const char *conninfo;
    unsigned i, kind;
    async_postgres db;
    async_postgres_result result;
    struct async_postgres_rows rows;
    struct async_postgres_notifications notifications;
    async_postgres_result row;
    async_postgres_notification note;
    async_postgres_step steps[3];
    async_timeout timeout;
    int error;
};
static ASYNC(client)
{
    ASYNC_BEGIN(client);
    ASYNC_TRY {
        AWAIT_CATCH(self->error, async_postgres_connect, &self->db,
                    self->conninfo);
        expect(&self->db, self->error);
        for (self->i = 0; self->i < 6; self->i++, self->what >>= 1) {
            if (!async_postgres_is_open(&self->db)) break;
            self->kind = self->what % 7;
            if (self->copying && self->i != 2) {
                AWAIT_CATCH(self->error, copies, &self->db, self->what);
            } else if (self->kind == 0) {
                AWAIT_CATCH(self->error, async_postgres_query, &self->db,
                            &self->result, "SELECT $1", ASYNC_POSTGRES("1"));
                if (!self->error) look(&self->result);
            } else if (self->kind == 1) {
                ASYNC_TRY {
                    self->rows = ASYNC_GENERATOR(async_postgres_rows,
                                                 &self->db, "SELECT");
                    ASYNC_FOR(self->row, &self->rows) {
                        look(&self->row);
                    } ASYNC_END_FOR
                } ASYNC_EXCEPT_ALL(self->error) {}
                ASYNC_END_TRY
            } else if (self->kind == 2) {
                memset(self->steps, 0, sizeof self->steps);
                self->steps[0].sql = "A";
                self->steps[1].sql = "B";
                self->steps[2].sql = "C";
                AWAIT_CATCH(self->error, async_postgres_pipeline, &self->db,
                            self->steps, 3);
                look(&self->steps[0].result);
                look(&self->steps[1].result);
                look(&self->steps[2].result);
                async_postgres_clear(&self->steps[0].result);
                async_postgres_clear(&self->steps[1].result);
                async_postgres_clear(&self->steps[2].result);
            } else if (self->kind == 3) {
                AWAIT_CATCH(self->error, async_postgres_execute, &self->db,
                            "A; B");
            } else if (self->kind == 4) {
                AWAIT_CATCH(self->error, async_postgres_listen, &self->db,
                            "c");
                expect(&self->db, self->error);
                ASYNC_TRY {
                    ASYNC_TIMEOUT(&self->timeout, ASYNC_MS(1)) {
                        self->notifications = ASYNC_GENERATOR(
                            async_postgres_notifications, &self->db);
                        ASYNC_FOR(self->note, &self->notifications) {
                            CHECK(strlen(self->note.channel) < 4096);
                            CHECK(strlen(self->note.payload) < 65536);
                        } ASYNC_END_FOR
                    } ASYNC_END_TIMEOUT
                } ASYNC_EXCEPT_ALL(self->error) {}
                ASYNC_END_TRY
            } else if (self->kind == 5) {
                AWAIT_CATCH(self->error, async_postgres_begin, &self->db);
                expect(&self->db, self->error);
                AWAIT_CATCH(self->error, async_postgres_commit, &self->db);
                expect(&self->db, self->error);
                AWAIT_CATCH(self->error, async_postgres_rollback, &self->db);
            } else if (self->kind == 6) {
                /* It is cancelled in the server, or closed. */
                ASYNC_TRY {
                    ASYNC_TIMEOUT(&self->timeout, 0) {
                        AWAIT(async_postgres_query, &self->db, &self->result,
                              "SELECT");
                    } ASYNC_END_TIMEOUT
                } ASYNC_EXCEPT_ALL(self->error) {}
                ASYNC_END_TRY
            }
            expect(&self->db, self->error);
        }
    } ASYNC_FINALLY {
        async_postgres_clear(&self->result);
        async_postgres_close(&self->db);
    } ASYNC_END_TRY
    ASYNC_END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char conninfo[256];
    const char *path = socket_path(".s.PGSQL.1");
    unsigned what, copying;
    if (size < 3) return 0;
    input = data;
    input_size = size;
    snprintf(conninfo, sizeof conninfo,
             "host=%s port=1 user=u dbname=d password=p gssencmode=disable",
             socket_directory);
    what = next_byte();
    copying = what >= 250;
    if (copying) what = next_byte();
    run_beside_server(path, CO(client, what, copying, conninfo));
    CHECK(results == 0 && connections == 0 && all_taken_back());
    return 0;
}
