/* postgres.h - queries to a PostgreSQL server, by libpq on the loop
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     AWAIT(async_postgres_connect, &self->db, "dbname=shop user=web");
 *     ASYNC_TRY {
 *         AWAIT(async_postgres_query, &self->db, &self->found,
 *               "SELECT name FROM wares WHERE price < $1",
 *               ASYNC_POSTGRES("100"));
 *         for (i = 0; i < self->found.rows; i++)
 *             puts(async_postgres_value(&self->found, i, 0).data);
 *     } ASYNC_FINALLY {
 *         async_postgres_clear(&self->found);
 *         async_postgres_close(&self->db);
 *     } ASYNC_END_TRY
 *
 *   CONNECTIONS     connect, close
 *   RESULTS         rows and columns
 *   QUERIES         with parameters; scripts; prepared ones; row by row
 *   PIPELINES       many queries in one round trip
 *   TRANSACTIONS    begin, commit, rollback
 *   NOTIFICATIONS   LISTEN, and a generator of what others NOTIFY
 *   POOLS           connections that are lent
 *   ERRORS
 *   PRIVATE
 *
 * It is libpq's non-blocking interface, waited for with async/uv/poll.h, and
 * libpq's own connection and results are at hand for all that has no name
 * here.  COPY is not supported.
 *
 * One task at a time uses a connection; another gets ASYNC_EBUSY.
 *
 * Cancelling a query cancels it in the server: a request is sent, by one of
 * libuv's threads, since PQcancel() blocks; then what still comes is read and
 * thrown away, and the cancellation is raised when the connection can be used
 * again.  If that takes longer than ASYNC_POSTGRES_PATIENCE, or the task is
 * cancelled once more meanwhile, the connection is closed instead.
 *
 * Needs libpq 14 or later, linked by the program (pkg-config libpq).
 *
 * Threads: belongs to the loop's thread, on a loop of async/uv/loop.h.
 */
#ifndef CAESURA_NET_POSTGRES_H
#define CAESURA_NET_POSTGRES_H

#include "../uv/executor.h" /* first: uv.h needs POSIX */
#include "../uv/handle.h"
#include "../uv/poll.h"

#include "../transport.h"

#include "pool.h"

/* Debian has it in a folder of its own. */
#if defined(__has_include)
#if !__has_include(<libpq-fe.h>) && !__has_include(<postgresql/libpq-fe.h>)
#error "async/net/postgres.h needs libpq: install libpq-dev (Debian), libpq \
(brew), postgresql-libs (pacman) or libpq-devel (dnf)"
#endif
#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
#include <postgresql/libpq-fe.h>
#endif
#else
#include <libpq-fe.h>
#endif
#ifndef LIBPQ_HAS_PIPELINING
#error "async/net/postgres.h needs libpq 14 or later"
#endif
#ifdef __cplusplus
#include <initializer_list>
#endif

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* How long a query that was cancelled may take to end. */
#ifndef ASYNC_POSTGRES_PATIENCE
#define ASYNC_POSTGRES_PATIENCE ASYNC_SECONDS(5)
#endif

/* ------------------------------------------------------------------------
 * CONNECTIONS
 *
 *     PGconn *connection;   libpq's own, NULL when it is closed: for what does
 *                           not wait (PQserverVersion, PQescapeLiteral ...)
 * ------------------------------------------------------------------------ */

/* A struct of the caller's, zeroed, which must neither move nor go until it is
 * closed: in the frame, and async_postgres_close() in a FINALLY. */
typedef struct async_postgres async_postgres;

/* AWAIT(async_postgres_connect, db, conninfo): waits until it is connected, and
 * the server has let the user in.
 *
 * conninfo   as libpq has it: "host=db.example dbname=shop user=web", or
 *            "postgresql://web@db.example/shop"; in use until this ends.  What
 *            it leaves out libpq takes from the environment (PGHOST,
 *            PGPASSWORD, ~/.pgpass).  Without a time limit (connect_timeout is
 *            not looked at): put it into an ASYNC_TIMEOUT.
 * Errors     -EACCES when the server wants another user or password;
 *            ASYNC_EPOSTGRES for what else it says (no such database, too many
 *            clients); -ECONNREFUSED when nobody could be reached, and
 *            UV_EPROTO when somebody could who does not answer as a server
 *            does; ASYNC_EINVAL when conninfo is none, or on a loop that is not
 *            libuv's; ASYNC_EBUSY when it is open; ASYNC_ENOMEM; ASYNC_ENOTASK.
 *            After an error it is closed, but async_postgres_error() still says
 *            in libpq's or the server's words what it was.
 * Cancel     at once; but where libpq has to look up a host's name, one of
 *            libuv's threads does so, and it is raised when that has ended.
 *            (Of several hosts all but the first are looked up with the loop
 *            standing still.) */
struct async_postgres_connect;
ASYNC(async_postgres_connect);

/* Closes it, at once.  Who waits for something gets ASYNC_ECLOSED.  One that
 * was never opened, or is closed, or is about to be opened: nothing.  Closing
 * the loop closes it. */
void async_postgres_close(async_postgres *db);

/* Whether queries may work: it is open, and not broken. */
static inline int async_postgres_is_open(const async_postgres *db);

/* ------------------------------------------------------------------------
 * RESULTS
 * ------------------------------------------------------------------------ */

/* A struct of the caller's, zeroed.  Who fills it first clears what it had; an
 * await that fails or is cancelled leaves it empty. */
typedef struct async_postgres_result {
    PGresult *pg; /* libpq's own, for PQfname(), PQftype() ...; NULL: empty */
    int rows, columns;
} async_postgres_result;

/* Gives its memory back, and makes it empty. */
static inline void async_postgres_clear(async_postgres_result *result);

/* A value, and whether it is NULL.  Its bytes are there until the result is
 * cleared, and behind them stands a '\0'; of NULL there are none, and data is
 * not NULL all the same.  In text unless the query was asked for binary ones.
 * Beyond the last row or column it is NULL. */
static inline async_bytes
async_postgres_value(const async_postgres_result *result, int row, int column);
static inline int async_postgres_is_null(const async_postgres_result *result,
                                         int row, int column);

/* How many rows were inserted, changed, deleted, or selected. */
long long async_postgres_affected(const async_postgres_result *result);

/* ------------------------------------------------------------------------
 * QUERIES
 * ------------------------------------------------------------------------ */

/* What stands for $1, $2 ...:
 *
 *     ASYNC_POSTGRES("42", name, NULL)          texts, and NULL for NULL
 *     ASYNC_POSTGRES_LIST(async_postgres_text(name),
 *                         async_postgres_binary(data, size),
 *                         async_postgres_null())    of any bytes
 *     ASYNC_POSTGRES_NONE                       none
 *
 * They are in use until the await first suspends; so a task (ASYNC_SPAWN, CO())
 * needs arrays that stay.  Binary values are in the form of their type (of
 * bytea, the bytes; of int4, four in network order). */
typedef struct async_postgres_parameter {
    const char *data; /* NULL: NULL */
    size_t size;
    int binary;
} async_postgres_parameter;
typedef struct async_postgres_parameters {
    const char *const *texts;
    const async_postgres_parameter *list; /* instead, if not NULL */
    size_t count;
} async_postgres_parameters;
#define ASYNC_POSTGRES(...) ASYNC__POSTGRES_TEXTS(__VA_ARGS__)
#define ASYNC_POSTGRES_LIST(...) ASYNC__POSTGRES_LIST(__VA_ARGS__)
#define ASYNC_POSTGRES_NONE (async__postgres_texts(NULL, 0))
static inline async_postgres_parameter async_postgres_text(const char *text);
static inline async_postgres_parameter
async_postgres_binary(const void *data, size_t size);
static inline async_postgres_parameter async_postgres_null(void);

/* AWAIT(async_postgres_query, db, result, sql, parameters, .binary = 1): one
 * statement, and waits for all that it gives.
 *
 * result      NULL: that it was no error is all there is to know
 * parameters  left out: none
 * binary      1: values come in the form of their type; left out: in text
 * prepared    1: `sql` is the name of a prepared statement
 * Errors      those below; ASYNC_EBUSY when another task uses the connection;
 *             ASYNC_EINVAL for more parameters, or longer ones, than the
 *             protocol has room for; UV_ENOTSUP for COPY TO STDOUT, and then it
 *             is broken; ASYNC_ENOTASK; ASYNC_EOTHERLOOP
 * Cancel      see above */
struct async_postgres_query;
ASYNC(async_postgres_query);

/* AWAIT(async_postgres_execute, db, script): one statement or several, without
 * parameters; what they select is dropped.  Several are one transaction, if
 * they do not begin one themselves.  Errors and Cancel as above. */
struct async_postgres_execute;
ASYNC(async_postgres_execute);

/* AWAIT(async_postgres_prepare, db, name, sql): has the server keep a
 * statement, for this connection.  Errors and Cancel as above. */
struct async_postgres_prepare;
ASYNC(async_postgres_prepare);

/* ASYNC_GENERATOR(async_postgres_rows, db, sql, parameters): the rows one by
 * one, as fast as they are taken; a table may be larger than memory.
 *
 *     self->rows = ASYNC_GENERATOR(async_postgres_rows, &self->db,
 *                                  "SELECT * FROM log");
 *     ASYNC_FOR(self->row, &self->rows) {
 *         puts(async_postgres_value(&self->row, 0, 0).data);
 *     } ASYNC_END_FOR
 *
 * Each is an async_postgres_result of one row, which is there until the next
 * step, and is not cleared.  The connection is in use until the end; leaving
 * the loop before cancels the query, as above.  The parameters are in use until
 * the first step suspends: they want arrays that stay.
 * Errors   those of a query; rows that have come before are no less good */
struct async_postgres_rows;
ASYNC(async_postgres_rows);

/* ------------------------------------------------------------------------
 * PIPELINES
 * ------------------------------------------------------------------------ */

/* A query and what comes of it; an array of the caller's, zeroed, in use until
 * the await ends.  (The parameters, only until it first suspends.) */
typedef struct async_postgres_step {
    const char *sql;
    async_postgres_parameters parameters;
    unsigned char binary, prepared; /* as of a query */
    async_postgres_result result;   /* the caller clears it */
    int error; /* 0; what it failed of; or ASYNC_ECANCELED: it was not done,
                * because one before it had failed */
} async_postgres_step;

/* AWAIT(async_postgres_pipeline, db, steps, count): sends them all together,
 * which takes one round trip.  They are one transaction, if they do not begin
 * one themselves: all are done or none.
 * Errors   that of the first step that failed; those of a query.  Unless a step
 *          has failed, no result is left.
 * Cancel   see above */
struct async_postgres_pipeline;
ASYNC(async_postgres_pipeline);

/* ------------------------------------------------------------------------
 * TRANSACTIONS
 *
 *     AWAIT(async_postgres_begin, &self->db);
 *     ASYNC_TRY {
 *         AWAIT(async_postgres_query, &self->db, NULL, "UPDATE ...");
 *         AWAIT(async_postgres_commit, &self->db);
 *     } ASYNC_FINALLY {
 *         AWAIT(async_postgres_rollback, &self->db);
 *     } ASYNC_END_TRY
 * ------------------------------------------------------------------------ */

/* AWAIT(async_postgres_begin, db, mode): mode, if any, as behind BEGIN: "READ
 * ONLY", "ISOLATION LEVEL SERIALIZABLE".
 * Errors   those of a query; ASYNC_EINVALSTATE within one */
struct async_postgres_begin;
ASYNC(async_postgres_begin);

/* AWAIT(async_postgres_commit, db)
 * Errors   ASYNC_EPOSTGRES when a statement had failed, and all of it has been
 *          rolled back; ASYNC_ESERIALIZATION, if it is to be tried again; those
 *          of a query.  Behind -ECONNRESET, or a cancellation, nobody knows
 *          whether it was committed. */
struct async_postgres_commit;
ASYNC(async_postgres_commit);

/* AWAIT(async_postgres_rollback, db): ends a transaction, if there is one;
 * behind a commit, or on a connection that is broken or closed, it does
 * nothing.  If it cannot, the connection is closed, which comes to the same.
 * Errors   ASYNC_EBUSY
 * Cancel   ends the transaction, or closes the connection */
struct async_postgres_rollback;
ASYNC(async_postgres_rollback);

/* ------------------------------------------------------------------------
 * NOTIFICATIONS
 *
 *     AWAIT(async_postgres_listen, &self->db, "jobs");
 *     self->all = ASYNC_GENERATOR(async_postgres_notifications, &self->db);
 *     ASYNC_FOR(self->one, &self->all) {
 *         printf("%s: %s\n", self->one.channel, self->one.payload);
 *     } ASYNC_END_FOR
 * ------------------------------------------------------------------------ */

/* AWAIT(async_postgres_listen, db, channel), AWAIT(async_postgres_unlisten, db,
 * channel): the name is quoted as an identifier.  Errors and Cancel: those of a
 * query. */
struct async_postgres_listen;
ASYNC(async_postgres_listen);
struct async_postgres_unlisten;
ASYNC(async_postgres_unlisten);

/* Its texts are there until the next step. */
typedef struct async_postgres_notification {
    const char *channel, *payload;
    int pid; /* of the server's process whose client has sent it */
} async_postgres_notification;

/* ASYNC_GENERATOR(async_postgres_notifications, db): what comes, without end.
 * While it waits the connection is in use; in the loop's body it is not.
 * Leaving the loop loses nothing.  What nobody asks for stays with the server.
 * Errors   those of a connection; ASYNC_EBUSY
 * Cancel   at once; nothing is lost */
struct async_postgres_notifications;
ASYNC(async_postgres_notifications);

/* ------------------------------------------------------------------------
 * POOLS
 *
 *     async_postgres_pool_open(&pool, loop, "dbname=shop", NULL);
 *     ...
 *     ASYNC_TRY {
 *         AWAIT_INTO(self->db, async_postgres_acquire, &pool);
 *         AWAIT(async_postgres_query, self->db, ...);
 *     } ASYNC_FINALLY {
 *         async_postgres_release(&pool, self->db);
 *     } ASYNC_END_TRY
 *
 * pool.h says all else.  What comes back broken, within a transaction, or
 * listening, is closed, and so is what the server has closed meanwhile: behind
 * a restart of the server the next one is connected anew.  Settings (SET),
 * prepared statements and temporary tables stay with the connection.
 * ------------------------------------------------------------------------ */
typedef struct async_postgres_pool {
    async_net_pool pool; /* for its statistics */
} async_postgres_pool;

/* conninfo must stay until the pool is closed.  Returns what
 * async_net_pool_open() does. */
int async_postgres_pool_open(async_postgres_pool *pool, async_loop *loop,
                             const char *conninfo,
                             const async_net_pool_options *limits);
static inline void async_postgres_pool_close(async_postgres_pool *pool);

/* AWAIT_INTO(db, async_postgres_acquire, pool).  Errors and Cancel: those of
 * async_net_pool_acquire and of async_postgres_connect. */
struct async_postgres_acquire;
ASYNC(async_postgres_acquire);
static inline void async_postgres_release(async_postgres_pool *pool,
                                          async_postgres *db);

/* ------------------------------------------------------------------------
 * ERRORS
 *
 *   ASYNC_EPOSTGRES       the server says no: the SQLSTATE and the text tell
 *   ASYNC_EINTEGRITY      of these, those of class 23: a constraint, a key that
 *                         is there already or is missing, NULL
 *   ASYNC_ESERIALIZATION  those of class 40: the transaction is lost to another
 *                         one, or a deadlock, and should be tried again
 *   -EACCES               those of class 28, and 42501: a right is missing
 *   -ECONNRESET           the connection broke, or the server has ended it
 *                         (57P01 as its SQLSTATE: a shutdown): whether the last
 *                         statement was done nobody knows.  From then on every
 *                         use fails so, until it is closed.
 *   ASYNC_ENOMEM          here, or in libpq, which keeps results in memory
 *   ASYNC_ECLOSED         it is not open, or had to be closed
 * ------------------------------------------------------------------------ */

/* The last error, in the server's words or in libpq's, without a line break at
 * its end: "duplicate key value violates ...".  "" at first.  And its SQLSTATE,
 * "23505", or "".  Valid until the next one. */
static inline const char *async_postgres_error(const async_postgres *db);
static inline const char *async_postgres_sqlstate(const async_postgres *db);

/* More of it: PG_DIAG_CONSTRAINT_NAME, PG_DIAG_MESSAGE_DETAIL, as of
 * PQresultErrorField(); NULL when there is none.  Valid as above. */
const char *async_postgres_error_field(const async_postgres *db, int field);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
struct async_postgres {
    PGconn *connection;
    /* The rest is private. */
    async_node resource; /* among those that are closed with the loop */
    async_loop *loop;
    const void *owner;   /* the frame that uses it, or NULL */
    async_operation *waiter; /* of that */
    int watched;         /* the descriptor, while somebody waits, or -1 */
    PGnotify *given;     /* the one that a generator has yielded */
    PGresult *failure;   /* the last */
    struct async__postgres_canceller *canceller; /* while a thread asks */
    async_handle patience;
    int error;           /* of what it is broken */
    unsigned char state; /* ASYNC__POSTGRES_SHUT .. */
    unsigned char draining, listens;
    char sqlstate[6];
    char text[512];
};
enum { ASYNC__POSTGRES_SHUT, ASYNC__POSTGRES_OPENING, ASYNC__POSTGRES_OPEN,
       ASYNC__POSTGRES_BROKEN };

/* What is done with what comes. */
typedef struct async__postgres_exchange {
    const void *owner;
    async_postgres_result *result; /* the last one's; or NULL */
    async_postgres_step *steps;    /* of a pipeline */
    size_t count, index;
    int failed;
    unsigned char kind; /* ASYNC__POSTGRES_LAST .. */
    unsigned char waited;
} async__postgres_exchange;
enum { ASYNC__POSTGRES_LAST, ASYNC__POSTGRES_STEPS, ASYNC__POSTGRES_ROWS };

struct async_postgres_connect {
    ASYNC_FRAME;
    async_postgres *db;
    const char *conninfo;
    int polling, error;
    ConnStatusType stage;
};
struct async_postgres_query {
    ASYNC_FRAME;
    async_postgres *db;
    async_postgres_result *result;
    const char *sql;
    async_postgres_parameters parameters;
    int binary, prepared;
    async__postgres_exchange exchange;
};
struct async_postgres_execute {
    ASYNC_FRAME;
    async_postgres *db;
    const char *script;
    async__postgres_exchange exchange;
};
struct async_postgres_prepare {
    ASYNC_FRAME;
    async_postgres *db;
    const char *name, *sql;
    async__postgres_exchange exchange;
};
struct async_postgres_rows {
    ASYNC_YIELDS(async_postgres_result);
    async_postgres *db;
    const char *sql;
    async_postgres_parameters parameters;
    int binary, prepared;
    async_postgres_result row;
    async__postgres_exchange exchange;
};
struct async_postgres_pipeline {
    ASYNC_FRAME;
    async_postgres *db;
    async_postgres_step *steps;
    size_t count;
    async__postgres_exchange exchange;
};
struct async_postgres_begin {
    ASYNC_FRAME;
    async_postgres *db;
    const char *mode;
    char sql[128];
    int error;
};
struct async_postgres_commit {
    ASYNC_FRAME;
    async_postgres *db;
    async_postgres_result result;
    int rolled_back;
};
struct async_postgres_rollback {
    ASYNC_FRAME;
    async_postgres *db;
    int error;
};
struct async_postgres_listen {
    ASYNC_FRAME;
    async_postgres *db;
    const char *channel;
    async__postgres_exchange exchange;
};
struct async_postgres_unlisten {
    ASYNC_FRAME;
    async_postgres *db;
    const char *channel;
    async__postgres_exchange exchange;
};
struct async_postgres_notifications {
    ASYNC_YIELDS(async_postgres_notification);
    async_postgres *db;
    int error;
};
struct async_postgres_acquire {
    ASYNC_RETURNS(async_postgres *);
    async_postgres_pool *pool;
    void *connection;
};

static inline int async_postgres_is_open(const async_postgres *db)
{
    return db->state == ASYNC__POSTGRES_OPEN;
}
static inline const char *async_postgres_error(const async_postgres *db)
{
    return db->text;
}
static inline const char *async_postgres_sqlstate(const async_postgres *db)
{
    return db->sqlstate;
}
static inline void async_postgres_clear(async_postgres_result *result)
{
    PQclear(result->pg);
    memset(result, 0, sizeof *result);
}
static inline int async_postgres_is_null(const async_postgres_result *result,
                                         int row, int column)
{
    return row < 0 || row >= result->rows || column < 0 ||
           column >= result->columns ||
           PQgetisnull(result->pg, row, column);
}
static inline async_bytes
async_postgres_value(const async_postgres_result *result, int row, int column)
{
    async_bytes bytes = { "", 0 };
    if (async_postgres_is_null(result, row, column)) return bytes;
    bytes.data = PQgetvalue(result->pg, row, column);
    bytes.size = (size_t)PQgetlength(result->pg, row, column);
    return bytes;
}
static inline async_postgres_parameter
async_postgres_binary(const void *data, size_t size)
{
    async_postgres_parameter parameter;
    parameter.data = data != NULL ? (const char *)data : "";
    parameter.size = size;
    parameter.binary = 1;
    return parameter;
}
static inline async_postgres_parameter async_postgres_text(const char *text)
{
    async_postgres_parameter parameter;
    parameter.data = text;
    parameter.size = text != NULL ? strlen(text) : 0;
    parameter.binary = 0;
    return parameter;
}
static inline async_postgres_parameter async_postgres_null(void)
{
    return async_postgres_text(NULL);
}
static inline async_postgres_parameters
async__postgres_texts(const char *const *texts, size_t count)
{
    async_postgres_parameters parameters;
    parameters.texts = texts;
    parameters.list = NULL;
    parameters.count = count;
    return parameters;
}
static inline async_postgres_parameters
async__postgres_list(const async_postgres_parameter *list, size_t count)
{
    async_postgres_parameters parameters;
    parameters.texts = NULL;
    parameters.list = list;
    parameters.count = count;
    return parameters;
}
#ifdef __cplusplus
static inline async_postgres_parameters
async__postgres_texts_of(std::initializer_list<const char *> list)
{
    return async__postgres_texts(list.begin(), list.size());
}
static inline async_postgres_parameters
async__postgres_list_of(std::initializer_list<async_postgres_parameter> list)
{
    return async__postgres_list(list.begin(), list.size());
}
#define ASYNC__POSTGRES_TEXTS(...) async__postgres_texts_of({ __VA_ARGS__ })
#define ASYNC__POSTGRES_LIST(...) async__postgres_list_of({ __VA_ARGS__ })
#else
#define ASYNC__POSTGRES_TEXTS(...)                                            \
    async__postgres_texts((const char *const[]){ __VA_ARGS__ },               \
                          sizeof((const char *const[]){ __VA_ARGS__ }) /      \
                              sizeof(const char *))
#define ASYNC__POSTGRES_LIST(...)                                             \
    async__postgres_list(                                                     \
        (const async_postgres_parameter[]){ __VA_ARGS__ },                    \
        sizeof((const async_postgres_parameter[]){ __VA_ARGS__ }) /           \
            sizeof(async_postgres_parameter))
#endif
static inline void async_postgres_pool_close(async_postgres_pool *pool)
{
    async_net_pool_close(&pool->pool);
}
static inline void async_postgres_release(async_postgres_pool *pool,
                                          async_postgres *db)
{
    async_net_pool_release(&pool->pool, db);
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_NET_POSTGRES_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * libpq never waits here: it is called when its socket is ready, and says what
 * it wants to wait for next.  Whoever has the connection waits in its own
 * frame; what else wakes it (a thread that has asked the server to cancel, the
 * end of patience, closing) does so by the same operation.
 *
 * What is watched is let go after each wait, for libpq may close the socket and
 * open another.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) &&                                          \
    !defined(CAESURA_NET_POSTGRES_IMPLEMENTED)
#define CAESURA_NET_POSTGRES_IMPLEMENTED

#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

struct async__postgres_wait {
    ASYNC_FRAME;
    async_postgres *db;
    int events;
    async_operation arrival;
};
static ASYNC(async__postgres_wait);

/* Gets on with what was sent, to the end of what comes of it; whatever that is,
 * nobody uses the connection then. */
struct async__postgres_complete {
    ASYNC_FRAME;
    async_postgres *db;
    async__postgres_exchange *exchange;
    int events, error;
};
static ASYNC(async__postgres_complete);

/* Behind a cancellation: ends the query in the server, or else the connection.
 */
struct async__postgres_recover {
    ASYNC_FRAME;
    async_postgres *db;
    async__postgres_exchange rest;
    int events, error;
};
static ASYNC(async__postgres_recover);

#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

enum { ASYNC__POSTGRES_READ = 1, ASYNC__POSTGRES_WRITE = 2,
       ASYNC__POSTGRES_ROW = 4 };

/* --- errors -------------------------------------------------------------- */

/* Without the line break, and what else is white, at its end. */
static void async__postgres_say(async_postgres *db, const char *text,
                                size_t size)
{
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' ' ||
                        text[size - 1] == '\t'))
        size--;
    if (size >= sizeof db->text) size = sizeof db->text - 1;
    memcpy(db->text, text, size);
    db->text[size] = '\0';
}

static void async__postgres_say_connection(async_postgres *db)
{
    const char *text = PQerrorMessage(db->connection);
    async__postgres_say(db, text, strlen(text));
}

static int async__postgres_code(const char *sqlstate)
{
    if (memcmp(sqlstate, "23", 2) == 0) return ASYNC_EINTEGRITY;
    if (memcmp(sqlstate, "40", 2) == 0) return ASYNC_ESERIALIZATION;
    if (memcmp(sqlstate, "28", 2) == 0) return UV_EACCES;
    if (strcmp(sqlstate, "42501") == 0) return UV_EACCES;
    return ASYNC_EPOSTGRES;
}

/* Keeps it, and returns which error it is. */
static int async__postgres_failed(async_postgres *db, PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    PQclear(db->failure);
    db->failure = result;
    if (text == NULL) text = PQresultErrorMessage(result);
    async__postgres_say(db, text, strlen(text));
    db->sqlstate[0] = '\0';
    if (sqlstate != NULL && strlen(sqlstate) == 5)
        memcpy(db->sqlstate, sqlstate, 6);
    return async__postgres_code(db->sqlstate);
}

const char *async_postgres_error_field(const async_postgres *db, int field)
{
    return db->failure != NULL ? PQresultErrorField(db->failure, field) : NULL;
}

/* --- waiting ------------------------------------------------------------- */

static void async__postgres_unwatch(async_postgres *db)
{
    if (db->watched < 0) return;
    async_loop_remove_reader(db->loop, (uv_os_sock_t)db->watched);
    async_loop_remove_writer(db->loop, (uv_os_sock_t)db->watched);
    db->watched = -1;
}

static int async__postgres_on_ready(void *argument)
{
    async_postgres *db = (async_postgres *)argument;
    async__postgres_unwatch(db);
    async__arrived(db->waiter, 0);
    return 0;
}

static int async__postgres_watch(async_postgres *db, int events)
{
    uv_os_sock_t fd;
    int error = 0;
    if (events == 0) return 0;
    db->watched = PQsocket(db->connection);
    if (db->watched < 0) return UV_ECONNRESET;
    fd = (uv_os_sock_t)db->watched;
    if (events & ASYNC__POSTGRES_READ)
        error = async_loop_add_reader(db->loop, fd, async__postgres_on_ready,
                                      db);
    if (!error && events & ASYNC__POSTGRES_WRITE)
        error = async_loop_add_writer(db->loop, fd, async__postgres_on_ready,
                                      db);
    if (error) async__postgres_unwatch(db);
    return error;
}

static ASYNC(async__postgres_wait)
{
    int error;
    ASYNC_BEGIN(async__postgres_wait);
    error = async__postgres_watch(self->db, self->events);
    if (error) ASYNC_RAISE(error);
    async_operation_init(&self->arrival, self->db->loop,
                         async_operation_cancelled);
    if (self->db->draining) self->arrival.future.kind |= ASYNC__UNHURRIED;
    self->db->waiter = &self->arrival;
    ASYNC__WAIT_FOR(&self->arrival.future);
    if (self->db->waiter == &self->arrival) {
        self->db->waiter = NULL;
        async__postgres_unwatch(self->db);
    }
    (void)async__awaited(co);
    async__drop(co);
    ASYNC__CHECK;
    ASYNC_END;
}

/* --- the end of a connection --------------------------------------------- */

typedef struct async__postgres_canceller {
    uv_work_t work;
    PGcancel *cancel;
    async_postgres *db; /* NULL: nobody waits for it any more */
    const async_allocator *allocator;
} async__postgres_canceller;

/* Lets go of all but what says why. */
static void async__postgres_drop(async_postgres *db, int told)
{
    async_operation *waiter = db->waiter;
    db->waiter = NULL;
    db->owner = NULL;
    async_handle_cancel(&db->patience);
    async__postgres_unwatch(db);
    if (db->canceller != NULL) db->canceller->db = NULL;
    db->canceller = NULL;
    if (db->connection != NULL) PQfinish(db->connection);
    db->connection = NULL;
    async__arrived(waiter, told);
}

/* It is of no use any more. */
static void async__postgres_break(async_postgres *db, int error)
{
    if (db->state == ASYNC__POSTGRES_OPEN) {
        db->state = ASYNC__POSTGRES_BROKEN;
        db->error = error;
    }
    async__postgres_drop(db, error);
}

static void async__postgres_end(async_postgres *db)
{
    async__postgres_drop(db, ASYNC_ECLOSED);
    db->state = ASYNC__POSTGRES_SHUT;
    if (db->resource.link.prev != NULL) async__unlink(&db->resource.link);
    if (db->given != NULL) PQfreemem(db->given);
    db->given = NULL;
    PQclear(db->failure);
    db->failure = NULL;
}

void async_postgres_close(async_postgres *db)
{
    if (db->state >= ASYNC__POSTGRES_OPEN) async__postgres_end(db);
}

static void async__postgres_close_resource(async_node *node)
{
    async_postgres_close(
        (async_postgres *)(void *)((char *)node -
                                   offsetof(async_postgres, resource)));
}

/* --- connecting ---------------------------------------------------------- */

/* Others than errors go nowhere, unless the program says where. */
static void async__postgres_on_notice(void *argument, const char *message)
{
    (void)argument, (void)message;
}

static int async__postgres_is_address(const char *host)
{
    struct in6_addr address;
    return host[0] == '/' || host[0] == '@' ||
           uv_inet_pton(AF_INET, host, &address) == 0 ||
           uv_inet_pton(AF_INET6, host, &address) == 0;
}

/* Whether libpq may have to look up a name; -1 when it is no conninfo. */
static int async__postgres_names(async_postgres *db, const char *conninfo)
{
    const char *host = getenv("PGHOST"), *numeric = getenv("PGHOSTADDR");
    const char *service = getenv("PGSERVICE");
    char *reason = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &reason), *option;
    int names;
    if (options == NULL) {
        const char *text = reason != NULL ? reason : "out of memory";
        async__postgres_say(db, text, strlen(text));
        PQfreemem(reason);
        return -1;
    }
    for (option = options; option->keyword != NULL; option++) {
        if (option->val == NULL) continue;
        if (strcmp(option->keyword, "host") == 0) host = option->val;
        if (strcmp(option->keyword, "hostaddr") == 0) numeric = option->val;
        if (strcmp(option->keyword, "service") == 0) service = option->val;
    }
    names = service != NULL ||
            ((numeric == NULL || *numeric == '\0') && host != NULL &&
             *host != '\0' && !async__postgres_is_address(host));
    PQconninfoFree(options);
    return names;
}

/* In a thread, or here. */
static int async__postgres_start(void *argument)
{
    struct async_postgres_connect *self =
        (struct async_postgres_connect *)argument;
    self->db->connection = PQconnectStart(self->conninfo);
    return self->db->connection != NULL ? 0 : (int)ASYNC_ENOMEM;
}

static int async__postgres_connect_begin(struct async_postgres_connect *self,
                                         const async *co)
{
    async_postgres *db = self->db;
    int error = async__uv_check(co), names;
    if (error) return error;
    if (db->state != ASYNC__POSTGRES_SHUT) return ASYNC_EBUSY;
    memset(db, 0, sizeof *db);
    db->loop = async_loop_of(co);
    db->watched = -1;
    if (self->conninfo == NULL) self->conninfo = "";
    names = async__postgres_names(db, self->conninfo);
    if (names < 0) return ASYNC_EINVAL;
    db->state = ASYNC__POSTGRES_OPENING;
    return names;
}

/* With the SQLSTATE of the server's errors, which libpq keeps to itself
 * otherwise. */
static void async__postgres_started(struct async_postgres_connect *self)
{
    PGconn *connection = self->db->connection;
    (void)PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
    (void)PQsetNoticeProcessor(connection, async__postgres_on_notice, NULL);
    self->polling = PGRES_POLLING_WRITING;
    self->stage = PQstatus(connection);
    if (self->stage == CONNECTION_BAD) self->polling = PGRES_POLLING_FAILED;
}

/* "FATAL:  28P01: password ...\nLOCATION:  ..." */
static int async__postgres_refused(struct async_postgres_connect *self)
{
    async_postgres *db = self->db;
    const char *text = PQerrorMessage(db->connection), *end;
    const char *at = text;
    async__postgres_say(db, text, strlen(text));
    while ((at = strstr(at, ":  ")) != NULL) {
        size_t i;
        at += 3;
        for (i = 0; i < 5; i++)
            if (!((at[i] >= '0' && at[i] <= '9') ||
                  (at[i] >= 'A' && at[i] <= 'Z')))
                break;
        if (i < 5 || at[5] != ':' || at[6] != ' ') continue;
        memcpy(db->sqlstate, at, 5);
        db->sqlstate[5] = '\0';
        at += 7;
        end = strchr(at, '\n');
        async__postgres_say(db, at,
                            end != NULL ? (size_t)(end - at) : strlen(at));
        return async__postgres_code(db->sqlstate);
    }
    if (PQconnectionNeedsPassword(db->connection)) return UV_EACCES;
    switch (self->stage) {
    case CONNECTION_BAD:
    case CONNECTION_STARTED:
    case CONNECTION_NEEDED:
        return UV_ECONNREFUSED;
    default:
        return UV_EPROTO;
    }
}

static int async__postgres_welcome(struct async_postgres_connect *self)
{
    async_postgres *db = self->db;
    if (self->polling != PGRES_POLLING_OK) return async__postgres_refused(self);
    (void)PQsetErrorVerbosity(db->connection, PQERRORS_DEFAULT);
    if (PQsetnonblocking(db->connection, 1) != 0) return ASYNC_ENOMEM;
    db->state = ASYNC__POSTGRES_OPEN;
    db->resource.run = async__postgres_close_resource;
    async__uv_opened(db->loop, &db->resource);
    return 0;
}

ASYNC(async_postgres_connect)
{
    ASYNC_BEGIN(async_postgres_connect);
    self->error = async__postgres_connect_begin(self, co);
    if (self->error < 0) ASYNC_RAISE(self->error);
    ASYNC_TRY {
        if (self->error) {
            ASYNC_AWAIT(async_to_thread, async__postgres_start, self);
        } else {
            self->error = async__postgres_start(self);
            if (self->error) ASYNC_RAISE(self->error);
        }
        async__postgres_started(self);
        while (self->polling == PGRES_POLLING_READING ||
               self->polling == PGRES_POLLING_WRITING) {
            ASYNC_AWAIT(async__postgres_wait, self->db,
                        self->polling == PGRES_POLLING_READING
                            ? ASYNC__POSTGRES_READ
                            : ASYNC__POSTGRES_WRITE);
            self->stage = PQstatus(self->db->connection);
            self->polling = (int)PQconnectPoll(self->db->connection);
        }
        self->error = async__postgres_welcome(self);
        if (self->error) ASYNC_RAISE(self->error);
    } ASYNC_EXCEPT_ALL(self->error) {
        async__postgres_end(self->db);
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- what comes ---------------------------------------------------------- */

static void async__postgres_keep(async_postgres_result *to, PGresult *result)
{
    if (to == NULL) {
        PQclear(result);
        return;
    }
    PQclear(to->pg);
    to->pg = result;
    to->rows = PQntuples(result);
    to->columns = PQnfields(result);
}

/* One result.  Returns 0, or an error that ends the connection. */
static int async__postgres_take(async_postgres *db, async__postgres_exchange *x,
                                PGresult *result)
{
    async_postgres_step *step =
        x->steps != NULL && x->index < x->count ? &x->steps[x->index] : NULL;
    int error;
    switch (PQresultStatus(result)) {
    case PGRES_EMPTY_QUERY:
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
        async__postgres_keep(step != NULL ? &step->result : x->result, result);
        return 0;
    case PGRES_PIPELINE_ABORTED:
        PQclear(result);
        if (step != NULL) step->error = ASYNC_ECANCELED;
        return 0;
    case PGRES_COPY_IN:
        PQclear(result);
        (void)PQputCopyEnd(db->connection, "COPY is not supported");
        return 0;
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        PQclear(result);
        return UV_ENOTSUP;
    default:
        /* Behind the server's reason comes libpq's, that it is lost. */
        if (x->failed && PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL) {
            PQclear(result);
            return 0;
        }
        error = async__postgres_failed(db, result);
        if (step != NULL) step->error = error;
        if (!x->failed) x->failed = error;
        return 0;
    }
}

/* Reads and writes what can be.  Returns what to wait for; 0 when all has come;
 * ASYNC__POSTGRES_ROW when a row has; or an error, and it is broken. */
static int async__postgres_pump(async_postgres *db,
                                async__postgres_exchange *x)
{
    PGconn *connection = db->connection;
    int lost = 0, unsent = 0, row;
    if (connection == NULL) return ASYNC_ECLOSED;
    if (x->waited && !PQconsumeInput(connection)) lost = 1;
    x->waited = 1;
    if (!lost) unsent = PQflush(connection);
    if (unsent < 0) lost = 1;
    while ((lost && PQstatus(connection) == CONNECTION_BAD) ||
           !PQisBusy(connection)) {
        PGresult *result = PQgetResult(connection);
        if (result == NULL) {
            /* What came made no sense to libpq, which has hung up. */
            if (PQstatus(connection) == CONNECTION_BAD) lost = 1;
            if (lost) break;
            if (x->kind != ASYNC__POSTGRES_STEPS) return 0;
            if (x->index++ >= x->count) break;
            continue;
        }
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            /* Too early is no answer to what was asked. */
            lost = x->index < x->count || !PQexitPipelineMode(connection);
            if (!lost) return 0;
            break;
        }
        row = x->kind == ASYNC__POSTGRES_ROWS &&
              PQresultStatus(result) == PGRES_SINGLE_TUPLE;
        if (async__postgres_take(db, x, result)) {
            static const char text[] = "COPY is not supported";
            async__postgres_say(db, text, sizeof text - 1);
            async__postgres_break(db, UV_ENOTSUP);
            return UV_ENOTSUP;
        }
        if (row) return ASYNC__POSTGRES_ROW;
    }
    if (!lost)
        return ASYNC__POSTGRES_READ | (unsent > 0 ? ASYNC__POSTGRES_WRITE : 0);
    if (!x->failed) {
        db->sqlstate[0] = '\0';
        async__postgres_say_connection(db);
    }
    async__postgres_break(db, UV_ECONNRESET);
    return UV_ECONNRESET;
}

/* The answer has come to its end: it is anybody's again. */
static void async__postgres_over(async_postgres *db,
                                 const async__postgres_exchange *x)
{
    if (db->owner == x->owner) db->owner = NULL;
}

static ASYNC(async__postgres_complete)
{
    ASYNC_BEGIN(async__postgres_complete);
    ASYNC_TRY {
        for (;;) {
            self->events = async__postgres_pump(self->db, self->exchange);
            if (self->events < 0) ASYNC_RAISE(self->events);
            if (self->events == 0) break;
            ASYNC_AWAIT(async__postgres_wait, self->db, self->events);
        }
    } ASYNC_EXCEPT_ALL(self->error) {
        if (self->db->owner == self->exchange->owner)
            ASYNC_AWAIT(async__postgres_recover, self->db, *self->exchange);
        async__postgres_over(self->db, self->exchange);
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    async__postgres_over(self->db, self->exchange);
    if (self->exchange->failed) ASYNC_RAISE(self->exchange->failed);
    ASYNC_END;
}

/* --- cancelling ---------------------------------------------------------- */

static void async__postgres_ask(uv_work_t *work)
{
    async__postgres_canceller *canceller =
        (async__postgres_canceller *)work->data;
    char reason[256];
    /* If it cannot be asked, it goes on: patience will have its end. */
    (void)PQcancel(canceller->cancel, reason, sizeof reason);
}

static void async__postgres_asked(uv_work_t *work, int status)
{
    async__postgres_canceller *canceller =
        (async__postgres_canceller *)work->data;
    const async_allocator *allocator = canceller->allocator;
    (void)status;
    if (canceller->db != NULL) {
        canceller->db->canceller = NULL;
        async__arrived(canceller->db->waiter, 0);
    }
    PQfreeCancel(canceller->cancel);
    allocator->release(allocator->context, canceller, sizeof *canceller);
}

static int async__postgres_impatient(void *argument)
{
    async_postgres *db = (async_postgres *)argument;
    async__arrived(db->waiter, ASYNC_ETIMEDOUT);
    return 0;
}

/* Has a thread tell the server. */
static int async__postgres_cancel(async_postgres *db)
{
    async__postgres_canceller *canceller;
    int error;
    if (PQstatus(db->connection) == CONNECTION_BAD) return UV_ECONNRESET;
    canceller = (async__postgres_canceller *)async__allocate_large(
        db->loop, sizeof *canceller);
    if (canceller == NULL) return ASYNC_ENOMEM;
    canceller->work.data = canceller;
    canceller->db = db;
    canceller->allocator = db->loop->allocator;
    canceller->cancel = PQgetCancel(db->connection);
    error = canceller->cancel == NULL ? (int)ASYNC_ENOMEM : 0;
    if (!error)
        error = uv_queue_work(async_uv_loop_of(db->loop), &canceller->work,
                              async__postgres_ask, async__postgres_asked);
    if (error) {
        if (canceller->cancel != NULL) PQfreeCancel(canceller->cancel);
        async__release_large(db->loop, canceller, sizeof *canceller);
        return error;
    }
    db->canceller = canceller;
    (void)async_loop_call_later(db->loop, &db->patience,
                                ASYNC_POSTGRES_PATIENCE,
                                async__postgres_impatient, db);
    return 0;
}

/* The connection can be used when the rest has come, and the thread is done:
 * else it might cancel what is asked next. */
static ASYNC(async__postgres_recover)
{
    ASYNC_BEGIN(async__postgres_recover);
    self->rest.result = NULL;
    self->rest.steps = NULL;
    if (self->rest.kind == ASYNC__POSTGRES_ROWS)
        self->rest.kind = ASYNC__POSTGRES_LAST;
    self->rest.failed = 0;
    self->error = async__postgres_cancel(self->db);
    if (self->error) {
        async__postgres_break(self->db, ASYNC_ECLOSED);
        ASYNC_RETURN();
    }
    self->db->draining = 1;
    ASYNC_TRY {
        for (;;) {
            self->events = async__postgres_pump(self->db, &self->rest);
            if (self->events < 0) ASYNC_RAISE(self->events);
            if (self->events == 0) break;
            ASYNC_AWAIT(async__postgres_wait, self->db, self->events);
        }
        while (self->db->canceller != NULL)
            ASYNC_AWAIT(async__postgres_wait, self->db, 0);
    } ASYNC_EXCEPT_ALL(self->error) {
        if (self->db->owner == self->rest.owner)
            async__postgres_break(self->db, ASYNC_ECLOSED);
    } ASYNC_END_TRY
    self->db->draining = 0;
    async_handle_cancel(&self->db->patience);
    ASYNC_END;
}

/* --- what goes out ------------------------------------------------------- */

/* Why a coroutine cannot use it, or 0. */
static int async__postgres_check(const async_postgres *db, const async *co)
{
    if (db->state == ASYNC__POSTGRES_BROKEN) return db->error;
    if (db->state != ASYNC__POSTGRES_OPEN) return ASYNC_ECLOSED;
    if (!(co->flags & ASYNC__IS_TASK)) return ASYNC_ENOTASK;
    if (async_loop_of(co) != db->loop) return ASYNC_EOTHERLOOP;
    return db->owner != NULL ? (int)ASYNC_EBUSY : 0;
}

/* Libpq would not take it. */
static int async__postgres_unsent(async_postgres *db)
{
    async__postgres_say_connection(db);
    db->sqlstate[0] = '\0';
    if (PQstatus(db->connection) != CONNECTION_BAD) return ASYNC_ENOMEM;
    async__postgres_break(db, UV_ECONNRESET);
    return UV_ECONNRESET;
}

/* It has been taken: from now on somebody uses it. */
static void async__postgres_sent(async_postgres *db,
                                 async__postgres_exchange *x, int kind,
                                 async_postgres_result *result)
{
    memset(x, 0, sizeof *x);
    x->owner = x;
    x->kind = (unsigned char)kind;
    x->result = result;
    db->owner = x;
}

enum { ASYNC__POSTGRES_FEW = 16 };

/* Hands libpq the parameters as it wants them: three arrays. */
static int async__postgres_send(async_postgres *db, const char *sql,
                                const async_postgres_parameters *parameters,
                                int binary, int prepared)
{
    const char *few_values[ASYNC__POSTGRES_FEW];
    int few_numbers[2 * ASYNC__POSTGRES_FEW];
    const char **values = few_values;
    int *lengths = few_numbers, *formats, sent;
    size_t n = parameters->count, i, size = 0;
    void *many = NULL;
    if (n > 65535) return ASYNC_EINVAL;
    if (n > ASYNC__POSTGRES_FEW) {
        size = n * (sizeof *values + 2 * sizeof *lengths);
        many = async__allocate(db->loop, size);
        if (many == NULL) return ASYNC_ENOMEM;
        values = (const char **)many;
        lengths = (int *)(void *)(values + n);
    }
    formats = lengths + n;
    for (i = 0; i < n; i++) {
        async_postgres_parameter one =
            parameters->list != NULL
                ? parameters->list[i]
                : async_postgres_text(parameters->texts[i]);
        values[i] = one.data;
        if (one.size > 0x3fffffff) break;
        lengths[i] = (int)one.size;
        formats[i] = one.binary;
    }
    if (i < n)
        sent = -1;
    else if (prepared)
        sent = PQsendQueryPrepared(db->connection, sql, (int)n, values,
                                   lengths, formats, binary);
    else
        sent = PQsendQueryParams(db->connection, sql, (int)n, NULL, values,
                                 lengths, formats, binary);
    if (many != NULL) async__release(db->loop, many, size);
    if (sent < 0) return ASYNC_EINVAL;
    return sent ? 0 : async__postgres_unsent(db);
}

/* --- queries ------------------------------------------------------------- */

static int async__postgres_query_begin(struct async_postgres_query *self,
                                       const async *co)
{
    int error;
    if (self->result != NULL) async_postgres_clear(self->result);
    error = async__postgres_check(self->db, co);
    if (!error)
        error = async__postgres_send(self->db, self->sql, &self->parameters,
                                     self->binary, self->prepared);
    if (!error)
        async__postgres_sent(self->db, &self->exchange, ASYNC__POSTGRES_LAST,
                             self->result);
    return error;
}

ASYNC(async_postgres_query)
{
    int error;
    ASYNC_BEGIN(async_postgres_query);
    error = async__postgres_query_begin(self, co);
    if (error) ASYNC_RAISE(error);
    ASYNC_TRY {
        ASYNC_AWAIT(async__postgres_complete, self->db, &self->exchange);
    } ASYNC_EXCEPT_ALL(error) {
        if (self->result != NULL) async_postgres_clear(self->result);
        ASYNC_RAISE(error);
    } ASYNC_END_TRY
    ASYNC_END;
}

static int async__postgres_simple(async_postgres *db, const async *co,
                                  const char *script,
                                  async__postgres_exchange *exchange)
{
    int error = async__postgres_check(db, co);
    if (error) return error;
    if (!PQsendQuery(db->connection, script))
        return async__postgres_unsent(db);
    async__postgres_sent(db, exchange, ASYNC__POSTGRES_LAST, NULL);
    return 0;
}

ASYNC(async_postgres_execute)
{
    int error;
    ASYNC_BEGIN(async_postgres_execute);
    error = async__postgres_simple(self->db, co, self->script,
                                   &self->exchange);
    if (error) ASYNC_RAISE(error);
    ASYNC_AWAIT(async__postgres_complete, self->db, &self->exchange);
    ASYNC_END;
}

static int async__postgres_prepare_begin(struct async_postgres_prepare *self,
                                         const async *co)
{
    int error = async__postgres_check(self->db, co);
    if (error) return error;
    if (!PQsendPrepare(self->db->connection, self->name, self->sql, 0, NULL))
        return async__postgres_unsent(self->db);
    async__postgres_sent(self->db, &self->exchange, ASYNC__POSTGRES_LAST,
                         NULL);
    return 0;
}

ASYNC(async_postgres_prepare)
{
    int error;
    ASYNC_BEGIN(async_postgres_prepare);
    error = async__postgres_prepare_begin(self, co);
    if (error) ASYNC_RAISE(error);
    ASYNC_AWAIT(async__postgres_complete, self->db, &self->exchange);
    ASYNC_END;
}

long long async_postgres_affected(const async_postgres_result *result)
{
    return result->pg != NULL ? atoll(PQcmdTuples(result->pg)) : 0;
}

/* --- row by row ---------------------------------------------------------- */

static int async__postgres_rows_begin(struct async_postgres_rows *self,
                                      const async *co)
{
    int error = async__postgres_check(self->db, co);
    if (!error)
        error = async__postgres_send(self->db, self->sql, &self->parameters,
                                     self->binary, self->prepared);
    if (error) return error;
    async__postgres_sent(self->db, &self->exchange, ASYNC__POSTGRES_ROWS,
                         &self->row);
    (void)PQsetSingleRowMode(self->db->connection);
    return 0;
}

/* libpq reads all that there is, whenever it reads: it is asked to only when
 * what it has read is used up. */
static int async__postgres_rows_step(struct async_postgres_rows *self)
{
    if (self->db->owner != self->exchange.owner) return ASYNC_ECLOSED;
    return async__postgres_pump(self->db, &self->exchange);
}

ASYNC(async_postgres_rows)
{
    int step;
    ASYNC_BEGIN(async_postgres_rows);
    step = async__postgres_rows_begin(self, co);
    if (step) ASYNC_RAISE(step);
    ASYNC_TRY {
        for (;;) {
            step = async__postgres_rows_step(self);
            if (step < 0) ASYNC_RAISE(step);
            if (step == 0) break;
            if (step == ASYNC__POSTGRES_ROW) {
                self->exchange.waited = 0;
                ASYNC_YIELD(self->row);
                continue;
            }
            ASYNC_AWAIT(async__postgres_wait, self->db, step);
        }
        async__postgres_over(self->db, &self->exchange);
        if (self->exchange.failed) ASYNC_RAISE(self->exchange.failed);
    } ASYNC_FINALLY {
        async_postgres_clear(&self->row);
        if (self->db->owner == self->exchange.owner)
            ASYNC_AWAIT(async__postgres_recover, self->db, self->exchange);
        async__postgres_over(self->db, &self->exchange);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- pipelines ----------------------------------------------------------- */

static int async__postgres_pipeline_begin(struct async_postgres_pipeline *self,
                                          const async *co)
{
    async_postgres *db = self->db;
    int error;
    size_t i;
    for (i = 0; i < self->count; i++) {
        async_postgres_clear(&self->steps[i].result);
        self->steps[i].error = 0;
    }
    error = async__postgres_check(db, co);
    if (error) return error;
    if (!PQenterPipelineMode(db->connection)) return ASYNC_EINVALSTATE;
    for (i = 0; i < self->count && !error; i++)
        error = async__postgres_send(db, self->steps[i].sql,
                                     &self->steps[i].parameters,
                                     self->steps[i].binary,
                                     self->steps[i].prepared);
    if (!error && !PQpipelineSync(db->connection))
        error = async__postgres_unsent(db);
    if (error) {
        /* A part of it may be out. */
        async__postgres_break(db, ASYNC_ECLOSED);
        return error;
    }
    async__postgres_sent(db, &self->exchange, ASYNC__POSTGRES_STEPS, NULL);
    self->exchange.steps = self->steps;
    self->exchange.count = self->count;
    return 0;
}

ASYNC(async_postgres_pipeline)
{
    int error;
    size_t i;
    ASYNC_BEGIN(async_postgres_pipeline);
    error = async__postgres_pipeline_begin(self, co);
    if (error) ASYNC_RAISE(error);
    ASYNC_TRY {
        ASYNC_AWAIT(async__postgres_complete, self->db, &self->exchange);
    } ASYNC_EXCEPT_ALL(error) {
        if (error != self->exchange.failed)
            for (i = 0; i < self->count; i++)
                async_postgres_clear(&self->steps[i].result);
        ASYNC_RAISE(error);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- transactions -------------------------------------------------------- */

static int async__postgres_in_transaction(const async_postgres *db)
{
    return db->state == ASYNC__POSTGRES_OPEN &&
           PQtransactionStatus(db->connection) != PQTRANS_IDLE;
}

static int async__postgres_begin_prepare(struct async_postgres_begin *self,
                                         const async *co)
{
    int error = async__postgres_check(self->db, co);
    const char *mode = self->mode != NULL ? self->mode : "";
    if (error) return error;
    if (async__postgres_in_transaction(self->db)) return ASYNC_EINVALSTATE;
    if (strlen(mode) > sizeof self->sql - 8) return ASYNC_EINVAL;
    sprintf(self->sql, "BEGIN %s", mode);
    return 0;
}

ASYNC(async_postgres_begin)
{
    ASYNC_BEGIN(async_postgres_begin);
    self->error = async__postgres_begin_prepare(self, co);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_AWAIT(async_postgres_execute, self->db, self->sql);
    ASYNC_END;
}

/* COMMIT of one that has failed is a success, of ROLLBACK. */
static int async__postgres_not_committed(struct async_postgres_commit *self)
{
    static const char text[] = "the transaction had failed: rolled back";
    int rolled_back =
        strcmp(PQcmdStatus(self->result.pg), "ROLLBACK") == 0;
    async_postgres_clear(&self->result);
    if (!rolled_back) return 0;
    async__postgres_say(self->db, text, sizeof text - 1);
    memcpy(self->db->sqlstate, "25P02", 6);
    return ASYNC_EPOSTGRES;
}

ASYNC(async_postgres_commit)
{
    ASYNC_BEGIN(async_postgres_commit);
    ASYNC_AWAIT(async_postgres_query, self->db, &self->result, "COMMIT");
    self->rolled_back = async__postgres_not_committed(self);
    if (self->rolled_back) ASYNC_RAISE(self->rolled_back);
    ASYNC_END;
}

ASYNC(async_postgres_rollback)
{
    ASYNC_BEGIN(async_postgres_rollback);
    if (!async__postgres_in_transaction(self->db)) ASYNC_RETURN();
    if (self->db->owner != NULL) ASYNC_RAISE(ASYNC_EBUSY);
    ASYNC_TRY {
        ASYNC_AWAIT(async_postgres_execute, self->db, "ROLLBACK");
    } ASYNC_EXCEPT_ALL(self->error) {
        if (async__postgres_in_transaction(self->db))
            async__postgres_break(self->db, ASYNC_ECLOSED);
        if (!async_error_is_exception(self->error)) ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- notifications ------------------------------------------------------- */

static int async__postgres_listen_begin(async_postgres *db, const async *co,
                                        const char *word, const char *channel,
                                        async__postgres_exchange *exchange)
{
    int error = async__postgres_check(db, co);
    char *name, *sql;
    size_t size;
    if (error) return error;
    name = PQescapeIdentifier(db->connection, channel, strlen(channel));
    if (name == NULL) {
        async__postgres_say_connection(db);
        return ASYNC_EINVAL;
    }
    size = strlen(word) + strlen(name) + 1;
    sql = (char *)async__allocate(db->loop, size);
    if (sql == NULL) {
        PQfreemem(name);
        return ASYNC_ENOMEM;
    }
    strcpy(sql, word);
    strcat(sql, name);
    PQfreemem(name);
    error = async__postgres_simple(db, co, sql, exchange);
    async__release(db->loop, sql, size);
    if (!error) db->listens = 1;
    return error;
}

ASYNC(async_postgres_listen)
{
    int error;
    ASYNC_BEGIN(async_postgres_listen);
    error = async__postgres_listen_begin(self->db, co, "LISTEN ",
                                         self->channel, &self->exchange);
    if (error) ASYNC_RAISE(error);
    ASYNC_AWAIT(async__postgres_complete, self->db, &self->exchange);
    ASYNC_END;
}

ASYNC(async_postgres_unlisten)
{
    int error;
    ASYNC_BEGIN(async_postgres_unlisten);
    error = async__postgres_listen_begin(self->db, co, "UNLISTEN ",
                                         self->channel, &self->exchange);
    if (error) ASYNC_RAISE(error);
    ASYNC_AWAIT(async__postgres_complete, self->db, &self->exchange);
    ASYNC_END;
}

/* The next one: 0; 1 to wait for it; or an error. */
static int async__postgres_next(struct async_postgres_notifications *self,
                                const async *co)
{
    async_postgres *db = self->db;
    int error = async__postgres_check(db, co), lost;
    if (db->given != NULL) PQfreemem(db->given);
    db->given = NULL;
    if (error) return error;
    db->given = PQnotifies(db->connection);
    if (db->given == NULL) {
        lost = !PQconsumeInput(db->connection);
        db->given = PQnotifies(db->connection);
        if (db->given == NULL && lost) {
            db->sqlstate[0] = '\0';
            async__postgres_say_connection(db);
            async__postgres_break(db, UV_ECONNRESET);
            return UV_ECONNRESET;
        }
    }
    if (db->given == NULL) return 1;
    self->frame.value.channel = db->given->relname;
    self->frame.value.payload = db->given->extra;
    self->frame.value.pid = db->given->be_pid;
    return 0;
}

ASYNC(async_postgres_notifications)
{
    int step;
    ASYNC_BEGIN(async_postgres_notifications);
    for (;;) {
        step = async__postgres_next(self, co);
        if (step < 0) ASYNC_RAISE(step);
        if (step == 0) {
            ASYNC_YIELD(self->frame.value);
            continue;
        }
        self->db->owner = self;
        ASYNC_TRY {
            ASYNC_AWAIT(async__postgres_wait, self->db, ASYNC__POSTGRES_READ);
        } ASYNC_FINALLY {
            if (self->db->owner == self) self->db->owner = NULL;
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

/* --- pools --------------------------------------------------------------- */

#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif
struct async__postgres_join {
    ASYNC_FRAME;
    async_postgres *connection;
    const char *conninfo;
};
static ASYNC(async__postgres_join);
#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

static ASYNC(async__postgres_join)
{
    ASYNC_BEGIN(async__postgres_join);
    ASYNC_AWAIT(async_postgres_connect, self->connection, self->conninfo);
    ASYNC_END;
}

static void async__postgres_pool_close_one(void *connection)
{
    async_postgres_close((async_postgres *)connection);
}

/* A server may say something by itself (a setting has changed); its farewell
 * has an end behind it. */
static int async__postgres_pool_is_usable(void *connection)
{
    async_postgres *db = (async_postgres *)connection;
    uv_os_sock_t fd;
    if (db->state != ASYNC__POSTGRES_OPEN || db->owner != NULL || db->listens ||
        async__postgres_in_transaction(db))
        return 0;
    fd = (uv_os_sock_t)PQsocket(db->connection);
    if (async__socket_is_quiet(fd)) return 1;
    return PQconsumeInput(db->connection) &&
           PQstatus(db->connection) == CONNECTION_OK &&
           async__socket_is_quiet(fd);
}

int async_postgres_pool_open(async_postgres_pool *pool, async_loop *loop,
                             const char *conninfo,
                             const async_net_pool_options *limits)
{
    static const async_net_pool_kind kind = {
        sizeof(async_postgres), async__postgres_pool_close_one,
        async__postgres_pool_is_usable
    };
    return async_net_pool_open(
        &pool->pool, loop, &kind,
        ASYNC_NET_POOL_CONNECT(async__postgres_join, conninfo), limits);
}

ASYNC(async_postgres_acquire)
{
    ASYNC_BEGIN(async_postgres_acquire);
    ASYNC_AWAIT_INTO(self->connection, async_net_pool_acquire,
                     &self->pool->pool);
    ASYNC_RETURN((async_postgres *)self->connection);
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
