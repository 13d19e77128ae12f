/* http_server - a small JSON service: notes, in memory.
 *
 *     http_server          asks itself, and prints what it is answered
 *     http_server 8080     serves until Ctrl-C; then
 *         curl -d '"buy milk"' localhost:8080/notes
 *         curl localhost:8080/notes
 *
 *     GET    /notes        all of them
 *     POST   /notes        a JSON string: a new one
 *     GET    /notes/7      one of them
 *     PUT    /notes/7      a JSON string: its text
 *     DELETE /notes/7
 */
#define ASYNC_IMPLEMENTATION
#include "../async/net/http_server.h"

#include <stdio.h>
#include <stdlib.h>

/* --- the store ----------------------------------------------------------- */

enum { NOTES = 100, LENGTH = 200 };

/* Each text is a JSON string as it came, with its quotes; "" is no note. */
static struct notes {
    char text[NOTES][LENGTH];
} notes;

/* Whether it is a JSON string, as RFC 8259 has it. */
static int is_json_string(async_bytes json)
{
    size_t i;
    if (json.size < 2 || json.data[0] != '"' ||
        json.data[json.size - 1] != '"')
        return 0;
    for (i = 1; i < json.size - 1; i++) {
        unsigned char byte = (unsigned char)json.data[i];
        if (byte < ' ' || byte == '"') return 0;
        if (byte != '\\') continue;
        byte = (unsigned char)json.data[++i];
        if (i == json.size - 1 || byte == '\0' ||
            strchr("\"\\/bfnrtu", byte) == NULL)
            return 0;
        if (byte == 'u') {
            if (json.size - 1 - i < 5 ||
                strspn(json.data + i + 1, "0123456789abcdefABCDEF") < 4)
                return 0;
            i += 4;
        }
    }
    return 1;
}

/* --- the service --------------------------------------------------------- */

struct service {
    ASYNC_FRAME;
    async_web_request *request;
    async_web_response *response;
    struct notes *notes;
    async_bytes text;
    int id, listed;
    char json[LENGTH + 64];
};
static ASYNC(service);

static void respond(struct service *self, int status, const char *json)
{
    async_web_respond(self->response, status, "application/json", json,
                      strlen(json));
}

static const char *json_of(struct service *self, int id)
{
    snprintf(self->json, sizeof self->json, "{\"id\":%d,\"text\":%s}", id,
             self->notes->text[id]);
    return self->json;
}

/* The number behind /notes/, or -1. */
static int id_of(async_bytes path)
{
    static const char prefix[] = "/notes/";
    size_t i = sizeof prefix - 1;
    int id = 0;
    if (path.size <= i || memcmp(path.data, prefix, i) != 0) return -1;
    for (; i < path.size; i++) {
        if (path.data[i] < '0' || path.data[i] > '9') return -1;
        id = 10 * id + path.data[i] - '0';
        if (id >= NOTES) return -1;
    }
    return id;
}

static void store(struct service *self, int id, int status)
{
    memcpy(self->notes->text[id], self->text.data, self->text.size);
    self->notes->text[id][self->text.size] = '\0';
    respond(self, status, json_of(self, id));
}

/* With nothing to wait for but the request's own body it needs no lock: between
 * two awaits nobody else runs. */
static ASYNC(service)
{
    ASYNC_BEGIN(service);
    if (strcmp(self->request->method, "POST") == 0 ||
        strcmp(self->request->method, "PUT") == 0) {
        AWAIT_INTO(self->text, async_web_read_all, self->request, LENGTH - 1);
        if (!is_json_string(self->text)) {
            respond(self, 422, "{\"error\":\"that is no JSON string\"}");
            ASYNC_RETURN();
        }
    }
    self->id = id_of(self->request->path);
    if (async_web_is(self->request, "GET", "/notes")) {
        /* However many there are, they are not put together first. */
        async_web_add_header(self->response, "Content-Type",
                             "application/json");
        AWAIT(async_web_write, self->response, "[", 1);
        for (self->id = 0; self->id < NOTES; self->id++) {
            if (self->notes->text[self->id][0] == '\0') continue;
            if (self->listed++) AWAIT(async_web_write, self->response, ",", 1);
            json_of(self, self->id);
            AWAIT(async_web_write, self->response, self->json,
                  strlen(self->json));
        }
        AWAIT(async_web_write, self->response, "]", 1);
    } else if (async_web_is(self->request, "POST", "/notes")) {
        self->id = 0;
        while (self->id < NOTES && self->notes->text[self->id][0] != '\0')
            self->id++;
        if (self->id < NOTES)
            store(self, self->id, 201);
        else
            respond(self, 507, "{\"error\":\"there are too many\"}");
    } else if (self->id < 0 || self->notes->text[self->id][0] == '\0') {
        respond(self, 404, "{\"error\":\"there is no such thing\"}");
    } else if (strcmp(self->request->method, "GET") == 0) {
        respond(self, 200, json_of(self, self->id));
    } else if (strcmp(self->request->method, "PUT") == 0) {
        store(self, self->id, 200);
    } else if (strcmp(self->request->method, "DELETE") == 0) {
        self->notes->text[self->id][0] = '\0';
        async_web_respond(self->response, 204, NULL, NULL, 0);
    } else {
        async_web_add_header(self->response, "Allow", "GET, PUT, DELETE");
        respond(self, 405, "{\"error\":\"that cannot be done with it\"}");
    }
    ASYNC_END;
}

/* --- asking it ----------------------------------------------------------- */

struct ask {
    ASYNC_FRAME;
    async_connection *server;
    const char *method, *path, *body;
    async_bytes line;
    char text[512];
    int status, chunked;
    unsigned long length;
};
static ASYNC(ask)
{
    int n;
    ASYNC_BEGIN(ask);
    n = snprintf(self->text, sizeof self->text,
                 "%s %s HTTP/1.1\r\nHost: localhost\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 self->method, self->path, strlen(self->body), self->body);
    async_stream_writer_write(&self->server->writer, self->text, (size_t)n);
    do {
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->server->reader);
        snprintf(self->text, sizeof self->text, "%.*s", (int)self->line.size,
                 self->line.data);
        sscanf(self->text, "HTTP/1.1 %d", &self->status);
        sscanf(self->text, "Content-Length: %lu", &self->length);
        if (strstr(self->text, "chunked") != NULL) self->chunked = 1;
    } while (self->line.size > 2);
    printf("%s %s %s -> %d ", self->method, self->path, self->body,
           self->status);
    for (;;) {
        if (self->chunked) {
            AWAIT_INTO(self->line, async_stream_reader_readline,
                       &self->server->reader);
            self->length = strtoul(self->line.data, NULL, 16);
        }
        AWAIT_INTO(self->line, async_stream_reader_readexactly,
                   &self->server->reader,
                   self->length + (self->chunked ? 2 : 0));
        printf("%.*s", (int)self->length, self->line.data);
        if (!self->chunked || self->length == 0) break;
    }
    printf("\n");
    ASYNC_END;
}

struct talk { ASYNC_FRAME; int port; async_connection server; };
static ASYNC(talk)
{
    ASYNC_BEGIN(talk);
    AWAIT(async_open_connection, &self->server, "127.0.0.1", self->port);
    ASYNC_TRY {
        AWAIT(ask, &self->server, "GET", "/notes", "");
        AWAIT(ask, &self->server, "POST", "/notes", "\"buy milk\"");
        AWAIT(ask, &self->server, "POST", "/notes", "\"say \\\"hello\\\"\"");
        AWAIT(ask, &self->server, "POST", "/notes", "buy milk");
        AWAIT(ask, &self->server, "GET", "/notes", "");
        AWAIT(ask, &self->server, "PUT", "/notes/1", "\"sleep\"");
        AWAIT(ask, &self->server, "GET", "/notes/1", "");
        AWAIT(ask, &self->server, "DELETE", "/notes/0", "");
        AWAIT(ask, &self->server, "GET", "/notes/0", "");
        AWAIT(ask, &self->server, "GET", "/notes", "");
        AWAIT(ask, &self->server, "PATCH", "/notes/1", "");
    } ASYNC_FINALLY {
        AWAIT(async_connection_close, &self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; int port; async_web_server web; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT(async_web_start, &self->web, ASYNC_WEB_HANDLER(service, &notes),
          self->port > 0 ? NULL : "127.0.0.1", self->port);
    if (self->port > 0) {
        AWAIT(async_web_serve_forever, &self->web, ASYNC_SECONDS(10));
    } else {
        ASYNC_TRY {
            AWAIT(talk, async_server_port(&self->web.server));
        } ASYNC_FINALLY {
            AWAIT(async_web_stop, &self->web, ASYNC_SECONDS(10));
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

int main(int argc, char **argv)
{
    int error = async_run(CO(program, argc > 1 ? atoi(argv[1]) : 0));
    return error != 0 && error != ASYNC_EINTR;
}
