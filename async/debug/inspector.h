/* inspector.h - what a program does, for who asks from outside
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     async_inspector *inspector;
 *     async_inspector_options options = { 0 };
 *     options.token = getenv("CAESURA_TOKEN");
 *     options.path = "/run/user/1000/server.sock";
 *     error = async_inspector_start(&inspector, loop, &options);
 *
 * and then
 *
 *     CAESURA_TOKEN=... caesura-ps /run/user/1000/server.sock tree
 *
 * or, with options.port instead of a path, a page in the browser:
 * http://127.0.0.1:PORT/?token=...
 *
 * It answers requests of HTTP (GET; `token` in the query, or as a bearer):
 *
 *     /              the page: live tree, timeline, warnings
 *     /ps, /tree     text, as async/dump.h
 *     /warnings      text, as watch.h
 *     /tasks         JSON: every task, its state, place and counters
 *     /trace?seconds=2    JSON: the timeline of the next seconds, trace.h
 *
 * It is off until it is started, and speaks to nobody but this machine: a Unix
 * socket that only its user can open, or a port of 127.0.0.1, where requests
 * must be meant for 127.0.0.1 or localhost (a page of somebody else's in the
 * browser cannot ask).  Who has not the token learns nothing.  It never waits
 * for who asks: who neither sends nor reads is dropped after 10 seconds, and of
 * more than 8 at a time the newest.  The answers are made between two tasks;
 * the tree of 1,000 tasks takes a few milliseconds.
 *
 * The loop is watched (watch.h) while it runs.  It does not keep the loop from
 * ending.
 *
 * Threads: all of it belongs to the loop's thread.  For loops on libuv.
 */
#ifndef CAESURA_INSPECTOR_H
#define CAESURA_INSPECTOR_H

#include "../uv/loop.h"

#include "../dump.h"
#include "trace.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct async_inspector async_inspector;

typedef struct async_inspector_options {
    const char *token; /* what who asks must know: 8 characters or more */
    const char *path;  /* of a Unix socket, which must not exist; or NULL */
    int port;          /* without a path: of 127.0.0.1; 0: the system chooses */
} async_inspector_options;

/* Begins to listen.
 *
 * Returns  0; ASYNC_EINVAL without a token, or with one that is too short;
 *          ASYNC_ENOMEM, ASYNC_ELOOPCLOSED; libuv's errors: -EADDRINUSE and so
 *          on.  After an error there is nothing to stop.
 * Memory   some 500 bytes, 3 KB for each who asks, and the answer, from the
 *          loop's allocator */
int async_inspector_start(async_inspector **inspector, async_loop *loop,
                          const async_inspector_options *options);

/* Ends that; who is being answered is cut off.  Its memory goes when libuv has
 * let go.  Closing the loop does so, too. */
void async_inspector_stop(async_inspector *inspector);

/* The port; 0 for a Unix socket. */
int async_inspector_port(const async_inspector *inspector);

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_INSPECTOR_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * In callbacks of libuv's and not in coroutines: it would stand in its own
 * list, and be counted.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_INSPECTOR_IMPLEMENTED)
#define CAESURA_INSPECTOR_IMPLEMENTED

#include <stdlib.h>
#ifndef _WIN32
#include <sys/stat.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- data ---------------------------------------------------------------- */

enum { ASYNC__ASKERS = 8, ASYNC__PATIENCE_MS = 10000, ASYNC__REQUEST = 2048,
       ASYNC__LARGEST_ANSWER = 256 * 1024 * 1024, ASYNC__TRACED = 100000 };

typedef union async__inspector_handle {
    uv_handle_t any;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
} async__inspector_handle;

typedef struct async__asker {
    async__inspector_handle handle;
    uv_timer_t limit;
    uv_write_t write;
    struct async_inspector *inspector;
    int open; /* handles that libuv has */
    char *answer;
    size_t size, room;
    int broken; /* no memory for it */
    size_t got;
    char request[ASYNC__REQUEST];
} async__asker;

struct async_inspector {
    async_node resource; /* must be first */
    async_loop *loop;
    const async_allocator *allocator;
    async__inspector_handle server;
    uv_timer_t trace_end;
    async_trace trace;
    async__asker *tracing; /* who waits for it, or NULL */
    async__asker *askers[ASYNC__ASKERS];
    async__inspector_handle spare; /* who finds no memory is closed with it */
    int open, port;
    unsigned char closing, is_pipe, traces, spare_open, left_waiting;
    char token[128];
};

static const char async__inspector_page[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Caesur"
    "a</title>\n"
    "<style>\n"
    "body{font:14px system-ui,sans-serif;margin:0;background:#fafafa;color:"
    "#222}\n"
    "header{background:#234;color:#fff;padding:8px 14px;display:flex;gap:18"
    "px;align-items:baseline}\n"
    "header b{font-size:17px}main{display:grid;grid-template-columns:3fr 2f"
    "r;gap:12px;padding:12px}\n"
    "section{background:#fff;border:1px solid #ddd;border-radius:6px;paddin"
    "g:10px;overflow:auto}\n"
    "h2{font-size:14px;margin:0 0 8px}#tree{font:12px/1.5 ui-monospace,mono"
    "space;white-space:pre;max-height:80vh}\n"
    "#tree i{color:#06c;font-style:normal}#tree u{color:#888;text-decoratio"
    "n:none}\n"
    ".ready{color:#b60}.running{color:#080}.waiting{color:#555}\n"
    "#warnings div{background:#fff3e0;border-left:3px solid #e80;padding:4p"
    "x 8px;margin:4px 0}\n"
    "canvas{width:100%;border:1px solid #eee}button{font:inherit}\n"
    "</style>\n"
    "<header><b>Caesura</b><span id=\"sum\"></span><span id=\"error\"></spa"
    "n></header>\n"
    "<main><section><h2>Tasks, under who awaits them</h2><div id=\"tree\"><"
    "/div></section>\n"
    "<div><section><h2>Warnings</h2><div id=\"warnings\"></div></section><b"
    "r>\n"
    "<section><h2>Timeline <button id=\"again\">the next second</button></h"
    "2>\n"
    "<canvas id=\"line\" width=\"900\" height=\"420\"></canvas><div id=\"le"
    "gend\"></div></section></div></main>\n"
    "<script>\n"
    "const token=new URLSearchParams(location.search).get('token')||'',$=i="
    ">document.getElementById(i);\n"
    "const get=p=>fetch(p+(p.includes('?')?'&':'?')+'token='+encodeURICompo"
    "nent(token)).then(r=>{if(!r.ok)throw Error(r.status+' '+r.statusText);"
    "return r});\n"
    "const esc=s=>String(s).replace(/[&<>\"]/g,c=>'&#'+c.charCodeAt(0)+';')"
    ";\n"
    "function tree(tasks){const below={};for(const t of tasks)(below[t.pare"
    "nt]=below[t.parent]||[]).push(t);\n"
    "const shown=new Set();let out='';const show=(ts,d)=>{for(const t of ts"
    "||[]){if(shown.has(t.id))continue;shown.add(t.id);\n"
    "out+='  '.repeat(d)+esc(t.name)+' <span class=\"'+t.state.split(' ')[0"
    "]+'\">'+esc(t.state)+'</span> <i>'+esc(t.file+':'+t.line)+'</i> <u>'+t"
    ".since.toFixed(1)+' s, '+t.steps+' steps, '+(t.running*1e3).toFixed(1)"
    "+' ms running</u>\\n';\n"
    "show(below[t.id],d+1)}};show(below[0],0);show(tasks,0);$('tree').inner"
    "HTML=out}\n"
    "async function look(){try{const now=await(await get('tasks')).json();t"
    "ree(now.tasks);\n"
    "$('sum').textContent=now.tasks.length+' tasks, '+now.loop.steps+' step"
    "s, '+(100*now.loop.running/(now.loop.running+now.loop.polling+now.loop"
    ".calling||1)).toFixed(1)+' % busy';\n"
    "const w=(await(await get('warnings')).text()).trim();$('warnings').inn"
    "erHTML=w?w.split('\\n').map(l=>'<div>'+esc(l)+'</div>').join(''):'none"
    "';\n"
    "$('error').textContent=''}catch(e){$('error').textContent=e}}\n"
    "const colour={run:'#2a7',ready:'#fb3',await:'#bcd',loop:'#999'};\n"
    "async function line(){$('again').disabled=true;try{const t=await(await"
    " get('trace?seconds=1')).json(),c=$('line'),g=c.getContext('2d');\n"
    "const names={},spans=[];let end=0;for(const e of t.traceEvents){if(e.p"
    "h=='M'&&e.name=='thread_name')names[e.tid]=e.args.name;\n"
    "if(e.ph=='X'){spans.push(e);end=Math.max(end,e.ts+e.dur)}}\n"
    "const busy={};for(const e of spans)if(e.cat=='run')busy[e.tid]=(busy[e"
    ".tid]||0)+e.dur;\n"
    "const rows=Object.keys(names).sort((a,b)=>(busy[b]||0)-(busy[a]||0)||a"
    "-b).slice(0,25),h=16;c.height=rows.length*h+4;\n"
    "g.font='11px sans-serif';const x=v=>170+v/(end||1)*(c.width-175);\n"
    "rows.forEach((r,i)=>{g.fillStyle='#222';g.fillText(names[r].slice(0,28"
    "),2,i*h+12)});\n"
    "for(const e of spans){const i=rows.indexOf(String(e.tid));if(i<0||e.na"
    "me=='poll')continue;g.fillStyle=colour[e.cat];\n"
    "g.fillRect(x(e.ts),i*h+2,Math.max(1,x(e.ts+e.dur)-x(e.ts)),h-4)}\n"
    "$('legend').textContent=(end/1e6).toFixed(3)+' s, '+spans.length+' spa"
    "ns of '+rows.length+' tracks: green runs, yellow is ready, blue waits'"
    "}\n"
    "catch(e){$('legend').textContent=e}$('again').disabled=false}\n"
    "$('again').onclick=line;look();line();setInterval(look,1000);\n"
    "</script></html>\n"    ;

/* --- answers ------------------------------------------------------------- */

static void async__inspector_put(const char *text, void *argument)
{
    async__asker *asker = (async__asker *)argument;
    const async_allocator *allocator = asker->inspector->allocator;
    size_t length = strlen(text), room = asker->room;
    if (asker->broken) return;
    if (asker->size + length > room) {
        char *larger;
        if (room == 0) room = 4096;
        while (room < asker->size + length) room *= 2;
        larger = room > ASYNC__LARGEST_ANSWER
                     ? NULL
                     : (char *)allocator->allocate(allocator->context, room);
        if (larger == NULL) {
            asker->broken = 1;
            return;
        }
        if (asker->room > 0) {
            memcpy(larger, asker->answer, asker->size);
            allocator->release(allocator->context, asker->answer, asker->room);
        }
        asker->answer = larger;
        asker->room = room;
    }
    memcpy(asker->answer + asker->size, text, length);
    asker->size += length;
}

static void async__inspector_quoted(async__asker *asker, const char *text)
{
    async__inspector_put("\"", asker);
    async__trace_text(async__inspector_put, asker, text);
    async__inspector_put("\"", asker);
}

/* Keeps a task's line of a dump. */
static void async__inspector_words(const char *text, void *argument)
{
    char *words = (char *)argument;
    size_t length = strlen(words), more = strlen(text);
    if (length + more >= 300) return;
    memcpy(words + length, text, more + 1);
}

static void async__inspector_task(async__asker *asker, const async_task *task,
                                  const async__look *look)
{
    const async__seen *seen = async__look_find(look, task), *by = NULL;
    const async_task *parent = async_task_awaited_by(task);
    async_task_counters none;
    const async_task_counters *of = &none;
    async__waits_at at;
    char text[400], words[300] = "", *state, *end;
    memset(&none, 0, sizeof none);
    if (seen != NULL) of = &seen->counters;
    if (parent != NULL) by = async__look_find(look, parent);
    async__look_where(task->co, &at);
    async_dump_task(task, 0, async__inspector_words, words);
    end = strchr(words, '\n');
    if (end != NULL) *end = '\0';
    state = strstr(words, ": ");
    if (state != NULL) {
        *state = '\0';
        state += 2;
    }
    snprintf(text, sizeof text, "{\"id\":%u,\"parent\":%u,\"line\":%d",
             seen != NULL ? (unsigned)seen->number : 0,
             by != NULL ? (unsigned)by->number : 0, at.line);
    async__inspector_put(text, asker);
    async__inspector_put(",\"name\":", asker);
    async__inspector_quoted(asker, words);
    async__inspector_put(",\"state\":", asker);
    async__inspector_quoted(asker, state != NULL ? state : "?");
    async__inspector_put(",\"file\":", asker);
    async__inspector_quoted(asker, async__look_base(at.file));
    async__inspector_put(",\"awaits\":", asker);
    async__inspector_quoted(asker, at.what != NULL ? at.what : "");
    snprintf(text, sizeof text,
             ",\"since\":%.6f,\"steps\":%llu,\"wakes\":%llu,"
             "\"self_wakes\":%llu,\"running\":%.9f,\"ready\":%.9f,"
             "\"waiting\":%.9f,\"longest\":%.9f,\"stack\":%lu,"
             "\"stack_high_water\":%lu}",
             seen != NULL
                 ? (double)(async__look_clock(look) - seen->since) / 1e9
                 : 0.0,
             (unsigned long long)of->steps, (unsigned long long)of->wakes,
             (unsigned long long)of->self_wakes, (double)of->running / 1e9,
             (double)of->ready / 1e9, (double)of->waiting / 1e9,
             (double)of->longest / 1e9,
             (unsigned long)async_task_stack_used(task),
             (unsigned long)async_task_stack_high_water(task));
    async__inspector_put(text, asker);
}

static void async__inspector_tasks(async__asker *asker)
{
    const async_loop *loop = asker->inspector->loop;
    const async__look *look = async__look_of(loop);
    const async_task *task = NULL;
    char text[300];
    int comma = 0;
    if (look == NULL) return;
    snprintf(text, sizeof text,
             "{\"loop\":{\"turns\":%llu,\"steps\":%llu,\"callbacks\":%llu,"
             "\"polling\":%.9f,\"running\":%.9f,\"calling\":%.9f},\"tasks\":[",
             (unsigned long long)look->counters.turns,
             (unsigned long long)look->counters.steps,
             (unsigned long long)look->counters.callbacks,
             (double)look->counters.polling / 1e9,
             (double)look->counters.running / 1e9,
             (double)look->counters.calling / 1e9);
    async__inspector_put(text, asker);
    while ((task = async_all_tasks(loop, task)) != NULL) {
        async__inspector_put(comma++ ? ",\n" : "\n", asker);
        async__inspector_task(asker, task, look);
    }
    async__inspector_put("\n]}\n", asker);
}

/* --- life of who asks ---------------------------------------------------- */

/* libuv has let go of one of the inspector's own handles, or of an asker. */
static void async__inspector_closed(async_inspector *inspector)
{
    if (--inspector->open > 0) return;
    if (inspector->resource.link.prev != NULL)
        async__unlink(&inspector->resource.link);
    inspector->allocator->release(inspector->allocator->context, inspector,
                                  sizeof *inspector);
}

static void async__asker_closed(uv_handle_t *handle)
{
    async__asker *asker = (async__asker *)handle->data;
    async_inspector *inspector = asker->inspector;
    const async_allocator *allocator = inspector->allocator;
    if (--asker->open > 0) return;
    if (asker->room > 0)
        allocator->release(allocator->context, asker->answer, asker->room);
    allocator->release(allocator->context, asker, sizeof *asker);
    async__inspector_closed(inspector);
}

static void async__inspector_untrace(async_inspector *inspector)
{
    inspector->tracing = NULL;
    if (!inspector->traces) return;
    uv_timer_stop(&inspector->trace_end);
    async_trace_free(&inspector->trace);
    inspector->traces = 0;
}

static void async__asker_close(async__asker *asker)
{
    int i;
    if (uv_is_closing(&asker->handle.any)) return;
    for (i = 0; i < ASYNC__ASKERS; i++)
        if (asker->inspector->askers[i] == asker)
            asker->inspector->askers[i] = NULL;
    if (asker->inspector->tracing == asker)
        async__inspector_untrace(asker->inspector);
    uv_close(&asker->handle.any, async__asker_closed);
    uv_close((uv_handle_t *)&asker->limit, async__asker_closed);
}

static void async__asker_late(uv_timer_t *limit)
{
    async__asker_close((async__asker *)limit->data);
}

static void async__asker_written(uv_write_t *write, int error)
{
    (void)error;
    async__asker_close((async__asker *)write->data);
}

/* Sends what has been put, behind room for a head that was left for it. */
enum { ASYNC__HEAD = 256 };
static void async__asker_send(async__asker *asker, const char *status,
                              const char *type)
{
    char head[ASYNC__HEAD + 1];
    int length;
    uv_buf_t buffer;
    if (asker->broken || asker->size < ASYNC__HEAD) {
        async__asker_close(asker);
        return;
    }
    length = snprintf(head, sizeof head,
                      "HTTP/1.0 %s\r\nContent-Type: %s; charset=utf-8\r\n"
                      "Content-Length: %lu\r\nCache-Control: no-store\r\n"
                      "X-Content-Type-Options: nosniff\r\nConnection: close"
                      "\r\n\r\n",
                      status, type,
                      (unsigned long)(asker->size - ASYNC__HEAD));
    memcpy(asker->answer + ASYNC__HEAD - length, head, (size_t)length);
    buffer.base = asker->answer + ASYNC__HEAD - length;
    buffer.len = asker->size - ASYNC__HEAD + (size_t)length;
    asker->write.data = asker;
    uv_read_stop(&asker->handle.stream);
    uv_timer_start(&asker->limit, async__asker_late, ASYNC__PATIENCE_MS, 0);
    if (uv_write(&asker->write, &asker->handle.stream, &buffer, 1,
                 async__asker_written) != 0)
        async__asker_close(asker);
}

static void async__asker_begin(async__asker *asker)
{
    char room[ASYNC__HEAD + 1];
    memset(room, ' ', ASYNC__HEAD);
    room[ASYNC__HEAD] = '\0';
    async__inspector_put(room, asker);
}

static void async__asker_refuse(async__asker *asker, const char *status)
{
    async__asker_begin(asker);
    async__inspector_put(status, asker);
    async__inspector_put("\n", asker);
    async__asker_send(asker, status, "text/plain");
}

/* --- the timeline -------------------------------------------------------- */

static void async__inspector_traced(uv_timer_t *timer)
{
    async_inspector *inspector = (async_inspector *)timer->data;
    async__asker *asker = inspector->tracing;
    async__asker_begin(asker);
    async_trace_write(&inspector->trace, async__inspector_put, asker);
    async__inspector_untrace(inspector);
    async__asker_send(asker, "200 OK", "application/json");
}

static void async__inspector_trace(async__asker *asker, const char *query)
{
    async_inspector *inspector = asker->inspector;
    const char *seconds = strstr(query, "seconds=");
    double length = seconds != NULL ? atof(seconds + 8) : 1;
    int error;
    if (!(length > 0 && length <= 60)) {
        async__asker_refuse(asker, "400 Bad Request");
        return;
    }
    error = inspector->traces
                ? (int)ASYNC_EBUSY
                : async_trace_start(&inspector->trace, inspector->loop,
                                    ASYNC__TRACED);
    if (error) {
        async__asker_refuse(asker, "503 Service Unavailable");
        return;
    }
    inspector->traces = 1;
    inspector->tracing = asker;
    uv_timer_stop(&asker->limit);
    uv_timer_start(&inspector->trace_end, async__inspector_traced,
                   (uint64_t)(length * 1000), 0);
    uv_unref((uv_handle_t *)&inspector->trace_end);
}

/* --- requests ------------------------------------------------------------ */

/* Takes as long for a wrong one as for the right one. */
static int async__inspector_knows(const async_inspector *inspector,
                                  const char *token, size_t length)
{
    size_t wanted = strlen(inspector->token), i;
    unsigned different = length != wanted;
    for (i = 0; i < wanted; i++)
        different |= (unsigned)(inspector->token[i] ^
                                token[length > 0 ? i % length : 0]);
    return different == 0 && length > 0;
}

/* The value of a header, up to the end of its line; or NULL. */
static const char *async__inspector_header(const char *request,
                                           const char *name)
{
    size_t length = strlen(name), i;
    const char *line = request;
    while ((line = strchr(line, '\n')) != NULL) {
        line++;
        for (i = 0; i < length; i++) {
            char c = line[i] >= 'A' && line[i] <= 'Z' ? (char)(line[i] + 32)
                                                      : line[i];
            if (c != name[i]) break;
        }
        if (i < length) continue;
        for (line += length; *line == ' ';) line++;
        return line;
    }
    return NULL;
}

static int async__inspector_allowed(const async__asker *asker,
                                    const char *query, const char *end)
{
    const async_inspector *inspector = asker->inspector;
    const char *host = async__inspector_header(asker->request, "host:");
    const char *bearer =
        async__inspector_header(asker->request, "authorization:");
    const char *token = NULL;
    if (!inspector->is_pipe && host != NULL) {
        size_t length = strcspn(host, ":\r\n");
        if (!(length == 9 && (memcmp(host, "127.0.0.1", 9) == 0 ||
                              memcmp(host, "localhost", 9) == 0)))
            return 0;
    }
    if (bearer != NULL && strncmp(bearer, "Bearer ", 7) == 0) {
        bearer += 7;
        return async__inspector_knows(inspector, bearer,
                                      strcspn(bearer, " \r\n"));
    }
    for (; query < end; query++) {
        if (strncmp(query, "token=", 6) == 0 &&
            (query[-1] == '?' || query[-1] == '&'))
            token = query + 6;
    }
    return token != NULL &&
           async__inspector_knows(inspector, token, strcspn(token, "& \r\n"));
}

static void async__asker_answer(async__asker *asker)
{
    const async_inspector *inspector = asker->inspector;
    char *path = asker->request + 4, *query, *end;
    const char *type = "text/plain";
    int is;
    if (strncmp(asker->request, "GET /", 5) != 0) {
        async__asker_refuse(asker, "400 Bad Request");
        return;
    }
    path += 1;
    end = path + strcspn(path, " \r\n");
    query = path + strcspn(path, "? \r\n");
    if (!async__inspector_allowed(asker, query < end ? query + 1 : end, end)) {
        async__asker_refuse(asker, "403 Forbidden");
        return;
    }
#define ASYNC__IS_PATH(word)                                                  \
    ((size_t)(query - path) == sizeof word - 1 &&                             \
     memcmp(path, word, sizeof word - 1) == 0)
    if (ASYNC__IS_PATH("trace")) {
        *end = '\0';
        async__inspector_trace(asker, query);
        return;
    }
    async__asker_begin(asker);
    is = 1;
    if (ASYNC__IS_PATH("")) {
        async__inspector_put(async__inspector_page, asker);
        type = "text/html";
    } else if (ASYNC__IS_PATH("ps")) {
        async_dump_tasks(inspector->loop, ASYNC_DUMP_ALL, async__inspector_put,
                         asker);
    } else if (ASYNC__IS_PATH("tree")) {
        if (async_dump_tree(inspector->loop, ASYNC_DUMP_ALL,
                            async__inspector_put, asker) != 0)
            asker->broken = 1;
    } else if (ASYNC__IS_PATH("warnings")) {
        (void)async_watch_warnings(inspector->loop, ASYNC_MS(100),
                                   async__inspector_put, asker);
    } else if (ASYNC__IS_PATH("tasks")) {
        async__inspector_tasks(asker);
        type = "application/json";
    } else {
        async__inspector_put("there is no such thing\n", asker);
        is = 0;
    }
#undef ASYNC__IS_PATH
    async__asker_send(asker, is ? "200 OK" : "404 Not Found", type);
}

static void async__asker_room(uv_handle_t *handle, size_t size,
                              uv_buf_t *buffer)
{
    async__asker *asker = (async__asker *)handle->data;
    (void)size;
    buffer->base = asker->request + asker->got;
    buffer->len = sizeof asker->request - 1 - asker->got;
}

static void async__asker_read(uv_stream_t *stream, ssize_t size,
                              const uv_buf_t *buffer)
{
    async__asker *asker = (async__asker *)stream->data;
    (void)buffer;
    if (size < 0) {
        async__asker_close(asker); /* also who waits for a trace */
        return;
    }
    if (asker->inspector->tracing == asker) return; /* what else it says */
    asker->got += (size_t)size;
    asker->request[asker->got] = '\0';
    if (strstr(asker->request, "\r\n\r\n") != NULL)
        async__asker_answer(asker);
    else if (asker->got == sizeof asker->request - 1 ||
             strlen(asker->request) < asker->got)
        async__asker_refuse(asker, "400 Bad Request");
}

static void async__inspector_init(const async_inspector *inspector,
                                  async__inspector_handle *handle)
{
    uv_loop_t *uv = async__uv(inspector->loop)->uv;
    if (inspector->is_pipe)
        (void)uv_pipe_init(uv, &handle->pipe, 0);
    else
        (void)uv_tcp_init(uv, &handle->tcp);
}

static void async__inspector_asked(uv_stream_t *server, int error);
static void async__inspector_spare_closed(uv_handle_t *handle)
{
    async_inspector *inspector = (async_inspector *)handle->data;
    inspector->spare_open = 0;
    if (inspector->left_waiting && !inspector->closing) {
        inspector->left_waiting = 0;
        async__inspector_asked(&inspector->server.stream, 0);
    }
    async__inspector_closed(inspector);
}

/* Without memory for who asks: libuv wants him taken all the same, or nobody
 * else would come. */
static void async__inspector_turn_away(async_inspector *inspector)
{
    if (inspector->spare_open) {
        inspector->left_waiting = 1;
        return;
    }
    async__inspector_init(inspector, &inspector->spare);
    inspector->spare.any.data = inspector;
    inspector->spare_open = 1;
    inspector->open++;
    (void)uv_accept(&inspector->server.stream, &inspector->spare.stream);
    uv_close(&inspector->spare.any, async__inspector_spare_closed);
}

static void async__inspector_asked(uv_stream_t *server, int error)
{
    async_inspector *inspector = (async_inspector *)server->data;
    async__asker *asker;
    int i = 0;
    if (error) return;
    asker = (async__asker *)inspector->allocator->allocate(
        inspector->allocator->context, sizeof *asker);
    if (asker == NULL) {
        async__inspector_turn_away(inspector);
        return;
    }
    memset(asker, 0, sizeof *asker);
    asker->inspector = inspector;
    async__inspector_init(inspector, &asker->handle);
    uv_timer_init(server->loop, &asker->limit);
    asker->handle.any.data = asker->limit.data = asker;
    asker->open = 2;
    inspector->open++;
    while (i < ASYNC__ASKERS && inspector->askers[i] != NULL) i++;
    if (uv_accept(server, &asker->handle.stream) != 0 || i == ASYNC__ASKERS) {
        async__asker_close(asker);
        return;
    }
    inspector->askers[i] = asker;
    uv_unref(&asker->handle.any);
    uv_timer_start(&asker->limit, async__asker_late, ASYNC__PATIENCE_MS, 0);
    uv_unref((uv_handle_t *)&asker->limit);
    if (uv_read_start(&asker->handle.stream, async__asker_room,
                      async__asker_read) != 0)
        async__asker_close(asker);
}

/* --- on and off ---------------------------------------------------------- */

static void async__inspector_own_closed(uv_handle_t *handle)
{
    async__inspector_closed((async_inspector *)handle->data);
}

static void async__inspector_end(async_inspector *inspector)
{
    int i;
    if (inspector->closing) return;
    inspector->closing = 1;
    for (i = 0; i < ASYNC__ASKERS; i++)
        if (inspector->askers[i] != NULL)
            async__asker_close(inspector->askers[i]);
    async__inspector_untrace(inspector);
    uv_close(&inspector->server.any, async__inspector_own_closed);
    uv_close((uv_handle_t *)&inspector->trace_end, async__inspector_own_closed);
}

static void async__inspector_close_resource(async_node *node)
{
    async__inspector_end((async_inspector *)(void *)node);
}

void async_inspector_stop(async_inspector *inspector)
{
    if (inspector->closing) return;
    async__inspector_end(inspector);
    async_loop_unwatch(inspector->loop);
}

static int async__inspector_listen(async_inspector *inspector,
                                   const async_inspector_options *options)
{
    int error;
    if (inspector->is_pipe) {
        error = uv_pipe_bind(&inspector->server.pipe, options->path);
#ifndef _WIN32
        if (!error && chmod(options->path, S_IRUSR | S_IWUSR) != 0)
            error = UV_EPERM;
#endif
    } else {
        struct sockaddr_in address;
        struct sockaddr_storage bound;
        int size = sizeof bound;
        (void)uv_ip4_addr("127.0.0.1", options->port, &address);
        error = uv_tcp_bind(&inspector->server.tcp,
                            (const struct sockaddr *)&address, 0);
        if (!error)
            error = uv_tcp_getsockname(&inspector->server.tcp,
                                       (struct sockaddr *)&bound, &size);
        if (!error)
            inspector->port =
                ntohs(((struct sockaddr_in *)(void *)&bound)->sin_port);
    }
    if (!error)
        error = uv_listen(&inspector->server.stream, ASYNC__ASKERS,
                          async__inspector_asked);
    return error;
}

int async_inspector_start(async_inspector **place, async_loop *loop,
                          const async_inspector_options *options)
{
    async_inspector *inspector;
    size_t length = options->token != NULL ? strlen(options->token) : 0;
    int error;
    if (length < 8 || length >= sizeof inspector->token) return ASYNC_EINVAL;
    if (loop->closed) return ASYNC_ELOOPCLOSED;
    if (loop->allocator == NULL) return ASYNC_ENOMEM;
    inspector = (async_inspector *)loop->allocator->allocate(
        loop->allocator->context, sizeof *inspector);
    if (inspector == NULL) return ASYNC_ENOMEM;
    memset(inspector, 0, sizeof *inspector);
    inspector->loop = loop;
    inspector->allocator = loop->allocator;
    inspector->is_pipe = options->path != NULL;
    memcpy(inspector->token, options->token, length + 1);
    error = async_loop_watch(loop);
    if (error) {
        inspector->allocator->release(inspector->allocator->context, inspector,
                                      sizeof *inspector);
        return error;
    }
    async__inspector_init(inspector, &inspector->server);
    uv_timer_init(async__uv(loop)->uv, &inspector->trace_end);
    inspector->server.any.data = inspector->trace_end.data = inspector;
    inspector->open = 2;
    inspector->resource.run = async__inspector_close_resource;
    async__uv_opened(loop, &inspector->resource);
    uv_unref(&inspector->server.any);
    error = async__inspector_listen(inspector, options);
    if (error) {
        async_inspector_stop(inspector);
        return error;
    }
    *place = inspector;
    return 0;
}

int async_inspector_port(const async_inspector *inspector)
{
    return inspector->port;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
