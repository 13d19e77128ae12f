/* http.c - an HTTP server on Caesura that says hello
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     http http PORT
 */
#define ASYNC_IMPLEMENTATION
#include "../../async/net/http_server.h"

#include <stdio.h>
#include <stdlib.h>

struct hello {
    ASYNC_FRAME;
    async_web_request *request;
    async_web_response *response;
};
static ASYNC(hello)
{
    ASYNC_BEGIN(hello);
    async_web_respond(self->response, 200, "text/plain", "Hello, world!", 13);
    ASYNC_END;
}

struct program { ASYNC_FRAME; int port; async_web_server web; };
static ASYNC(program)
{
    async_web_options options = { .server = { .backlog = 1024 } };
    ASYNC_BEGIN(program);
    AWAIT(async_web_start, &self->web, ASYNC_WEB_HANDLER(hello), "127.0.0.1",
          self->port, &options);
    AWAIT(async_web_serve_forever, &self->web, ASYNC_SECONDS(1));
    ASYNC_END;
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    return async_run(CO(program, atoi(argv[2]))) != 0;
}
