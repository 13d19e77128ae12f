/* crawler - follows the links of a site: so many pages at a time, so many of
 * one host, and once more, later, when a server is busy.
 *
 *     crawler                       a site of its own, on two servers
 *     crawler http://example.org/   a real one; pages of other hosts are left
 *
 * Which page comes first nobody knows; what is printed does not depend on it.
 */
#define ASYNC_IMPLEMENTATION
#include "../async/net/http_client.h"
#include "../async/net/http_server.h"
#include "../async/queue.h"
#include "../async/sync.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    WORKERS = 8,  /* pages at a time */
    PER_HOST = 3, /* of one host */
    ATTEMPTS = 4, /* for a page */
    PAGES = 500,
    HOSTS = 16,
    URL = 200,
    SIZE = 1 << 20
};

/* --- what is known ------------------------------------------------------- */

struct host {
    char name[URL]; /* "http://example.org" */
    async_semaphore free;
    int now, most;
};

typedef ASYNC_QUEUE(int, PAGES) page_queue;

static struct crawl {
    async_http_session session;
    page_queue queue;
    char urls[PAGES][URL];
    struct host hosts[HOSTS];
    int pages, host_count, only_first;
    int fetched, failed, retries, now, most;
} crawl;

/* The host of an address: "http://example.org" of "http://example.org/a". */
static struct host *host_of(const char *url)
{
    const char *name = strstr(url, "://");
    size_t size = name != NULL ? strcspn(name + 3, "/?#") : 0;
    int i;
    if (size == 0) return NULL;
    size += (size_t)(name + 3 - url);
    for (i = 0; i < crawl.host_count; i++)
        if (strlen(crawl.hosts[i].name) == size &&
            memcmp(crawl.hosts[i].name, url, size) == 0)
            return &crawl.hosts[i];
    if (i == HOSTS || (i > 0 && crawl.only_first)) return NULL;
    snprintf(crawl.hosts[i].name, URL, "%.*s", (int)size, url);
    async_semaphore_init(&crawl.hosts[i].free, PER_HOST);
    crawl.host_count++;
    return &crawl.hosts[i];
}

/* Puts it into the queue, unless it has been there. */
static void find(const char *url)
{
    int i;
    if (crawl.pages == PAGES || host_of(url) == NULL) return;
    for (i = 0; i < crawl.pages; i++)
        if (strcmp(crawl.urls[i], url) == 0) return;
    snprintf(crawl.urls[crawl.pages], URL, "%s", url);
    (void)ASYNC_QUEUE_PUT_NOWAIT(&crawl.queue, crawl.pages);
    crawl.pages++;
}

/* The links of a page: href="..." with an address, or a path. */
static void find_links(const char *url, const char *page)
{
    static const char mark[] = "href=\"";
    while ((page = strstr(page, mark)) != NULL) {
        char link[URL];
        size_t size = strcspn(page += sizeof mark - 1, "\"#");
        int n;
        if (strncmp(page, "http", 4) == 0)
            n = snprintf(link, sizeof link, "%.*s", (int)size, page);
        else if (page[0] == '/')
            n = snprintf(link, sizeof link, "%s%.*s", host_of(url)->name,
                         (int)size, page);
        else
            continue;
        if (n > 0 && (size_t)n < sizeof link) find(link);
    }
}

/* --- fetching ------------------------------------------------------------ */

/* One page, once.  Gives its status; or -1, for it can be better later. */
struct attempt {
    ASYNC_RETURNS(int);
    const char *url;
    struct host *host;
    async_http_response response;
    async_buffer text;
    int error;
};
static ASYNC(attempt)
{
    ASYNC_BEGIN(attempt);
    self->host = host_of(self->url);
    ASYNC_WITH(async_semaphore, &self->host->free) {
        if (++crawl.now > crawl.most) crawl.most = crawl.now;
        if (++self->host->now > self->host->most)
            self->host->most = self->host->now;
        ASYNC_TRY {
            AWAIT(async_http_get, &crawl.session, self->url, &self->response,
                  { .timeout = ASYNC_SECONDS(20) });
            AWAIT(async_http_read_all, &self->response, &self->text, SIZE);
            if (self->response.status == 200 && self->text.data != NULL)
                find_links(self->url, self->text.data);
        } ASYNC_EXCEPT_ALL(self->error) {
            if (self->error == ASYNC_ECANCELED) ASYNC_RAISE(self->error);
        } ASYNC_FINALLY {
            crawl.now--;
            self->host->now--;
            async_buffer_free(&self->text);
            async_http_close(&self->response);
        } ASYNC_END_TRY
    } ASYNC_END_WITH
    if (self->error) ASYNC_RETURN(-1);
    ASYNC_RETURN(self->response.status == 429 || self->response.status >= 500
                     ? -1
                     : self->response.status);
    ASYNC_END;
}

/* A page, more than once when it must be: after 50 ms, 100, 200, and as much
 * again by chance, so that they do not all come back together. */
struct fetch { ASYNC_FRAME; const char *url; int status, tried; };
static ASYNC(fetch)
{
    ASYNC_BEGIN(fetch);
    for (;;) {
        AWAIT_INTO(self->status, attempt, self->url);
        if (self->status >= 0 || ++self->tried == ATTEMPTS) break;
        crawl.retries++;
        AWAIT(async_sleep, ASYNC_MS((50 + rand() % 50) << (self->tried - 1)));
    }
    if (self->status == 200)
        crawl.fetched++;
    else
        crawl.failed++;
    ASYNC_END;
}

struct worker { ASYNC_FRAME; int page; };
static ASYNC(worker)
{
    ASYNC_BEGIN(worker);
    for (;;) {
        AWAIT_QUEUE_GET_INTO(self->page, &crawl.queue);
        ASYNC_TRY {
            AWAIT(fetch, crawl.urls[self->page]);
        } ASYNC_FINALLY {
            async_queue_task_done(&crawl.queue.queue);
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

struct crawl_from {
    ASYNC_FRAME;
    const char *url;
    async_task *workers[WORKERS];
    int i, error;
};
static ASYNC(crawl_from)
{
    ASYNC_BEGIN(crawl_from);
    ASYNC_QUEUE_INIT(&crawl.queue);
    AWAIT(async_http_session_open, &crawl.session, { .no_cookies = 1 });
    ASYNC_TRY {
        find(self->url);
        for (self->i = 0; self->i < WORKERS; self->i++)
            self->workers[self->i] = async_create_task(CO(worker));
        AWAIT(async_queue_join, &crawl.queue.queue);
    } ASYNC_FINALLY {
        for (self->i = 0; self->i < WORKERS; self->i++) {
            if (self->workers[self->i] == NULL) continue;
            async_task_cancel(self->workers[self->i]);
            ASYNC_TRY {
                AWAIT_JOIN(self->workers[self->i]);
            } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
            ASYNC_END_TRY
        }
        async_http_session_close(&crawl.session);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- a site to crawl ----------------------------------------------------- */

/* Each of the two servers has the pages 0 to 29.  Page n leads to 2n + 1 and
 * 2n + 2 on both; every fifth is busy for the first two who ask, and some
 * links lead nowhere. */
enum { NUMBERS = 30 };
static struct site {
    async_web_server web;
    char name[64];
    int asked[NUMBERS];
} sites[2];

struct page {
    ASYNC_FRAME;
    async_web_request *request;
    async_web_response *response;
    struct site *site;
    int n;
    char text[1024];
};
static ASYNC(page)
{
    int i, k, used = 0;
    ASYNC_BEGIN(page);
    self->n = -1;
    snprintf(self->text, sizeof self->text, "%.*s",
             (int)self->request->path.size, self->request->path.data);
    sscanf(self->text, "/%d.html", &self->n);
    AWAIT(async_sleep, ASYNC_MS(5)); /* as if it had work to do */
    if (self->n < 0 || self->n >= NUMBERS) {
        async_web_respond(self->response, 404, NULL, NULL, 0);
    } else if (self->n % 5 == 4 && self->site->asked[self->n]++ < 2) {
        async_web_respond(self->response, 503, NULL, NULL, 0);
    } else {
        for (k = 1; k <= 2; k++)
            for (i = 0; i < 2; i++)
                used += snprintf(self->text + used,
                                 sizeof self->text - (size_t)used,
                                 "<a href=\"%s/%d.html\">",
                                 i == 0 ? "" : sites[self->site == sites].name,
                                 2 * self->n + k);
        async_web_respond(self->response, 200, "text/html", self->text,
                          (size_t)used);
    }
    ASYNC_END;
}

struct program { ASYNC_FRAME; const char *url; int i; char start[80]; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    crawl.only_first = self->url != NULL;
    ASYNC_TRY {
        if (self->url == NULL) {
            for (self->i = 0; self->i < 2; self->i++) {
                AWAIT(async_web_start, &sites[self->i].web,
                      ASYNC_WEB_HANDLER(page, &sites[self->i]), "127.0.0.1",
                      0);
                snprintf(sites[self->i].name, sizeof sites[self->i].name,
                         "http://127.0.0.1:%d",
                         async_server_port(&sites[self->i].web.server));
            }
            snprintf(self->start, sizeof self->start, "%s/0.html",
                     sites[0].name);
        } else {
            snprintf(self->start, sizeof self->start, "%s", self->url);
        }
        AWAIT(crawl_from, self->start);
    } ASYNC_FINALLY {
        AWAIT(async_web_stop, &sites[0].web, ASYNC_SECONDS(1));
        AWAIT(async_web_stop, &sites[1].web, ASYNC_SECONDS(1));
    } ASYNC_END_TRY
    printf("%d pages of %d hosts, %d lead nowhere, %d retries\n",
           crawl.fetched, crawl.host_count, crawl.failed, crawl.retries);
    printf("never more than %d at a time: %s\n", WORKERS,
           crawl.most <= WORKERS ? "yes" : "no");
    for (self->i = 0; self->i < crawl.host_count; self->i++) {
        printf("never more than %d of host %d: %s\n", PER_HOST, self->i,
               crawl.hosts[self->i].most <= PER_HOST ? "yes" : "no");
        fprintf(stderr, "at most %d of %s\n", crawl.hosts[self->i].most,
                crawl.hosts[self->i].name);
    }
    ASYNC_END;
}

int main(int argc, char **argv)
{
    int error = async_run(CO(program, argc > 1 ? argv[1] : NULL));
    return error != 0 && error != ASYNC_EINTR;
}
