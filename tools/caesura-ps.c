/* caesura-ps - what a program with an inspector does
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     caesura-ps [-t TOKEN] WHERE [ps|tree|warnings|tasks|top|trace SECONDS]
 *
 * WHERE is the path of a Unix socket, a port of 127.0.0.1, or the number of a
 * process whose socket is /tmp/caesura-NUMBER.sock.  (A number is a process if
 * there is such a socket.)  TOKEN is by default CAESURA_TOKEN of the
 * environment.  Without a command it is `tree`.
 *
 *     ps, tree   a line a task; under a task those that it awaits
 *     warnings   what looks wrong
 *     tasks      all that is known, as JSON
 *     top        who runs most, every second, until Ctrl-C
 *     trace 5    the next five seconds, as JSON for ui.perfetto.dev, to stdout
 *
 * Exit status: 0; 1 when there is no answer, or it is a refusal; 2 for wrong
 * arguments.
 */
#define _POSIX_C_SOURCE 200809L
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char *token;
static char where[108];
static int port; /* 0: a Unix socket */

static int usage(void)
{
    fprintf(stderr, "usage: caesura-ps [-t TOKEN] SOCKET|PORT|PID "
                    "[ps|tree|warnings|tasks|top|trace SECONDS]\n");
    return 2;
}

static int connect_to(void)
{
    int fd;
    if (port > 0) {
        struct sockaddr_in address;
        memset(&address, 0, sizeof address);
        address.sin_family = AF_INET;
        address.sin_port = htons((unsigned short)port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd >= 0 &&
            connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return fd;
    } else {
        struct sockaddr_un address;
        memset(&address, 0, sizeof address);
        address.sun_family = AF_UNIX;
        memcpy(address.sun_path, where, sizeof address.sun_path);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (fd >= 0 &&
            connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return fd;
    }
    perror("caesura-ps");
    if (fd >= 0) close(fd);
    return -1;
}

/* The body of an answer, for the caller to free; or NULL. */
static char *ask(const char *what)
{
    char request[512], *answer = NULL, *body;
    size_t size = 0, room = 0, sent = 0, length;
    ssize_t n;
    int fd = connect_to();
    if (fd < 0) return NULL;
    snprintf(request, sizeof request,
             "GET /%s HTTP/1.0\r\nHost: 127.0.0.1\r\n"
             "Authorization: Bearer %s\r\n\r\n",
             what, token);
    for (length = strlen(request); sent < length; sent += (size_t)n) {
        n = write(fd, request + sent, length - sent);
        if (n < 0) break;
    }
    for (;;) {
        if (size + 1 >= room) {
            char *larger = (char *)realloc(answer, room = room * 2 + 65536);
            if (larger == NULL) break;
            answer = larger;
        }
        n = read(fd, answer + size, room - size - 1);
        if (n <= 0) break;
        size += (size_t)n;
    }
    close(fd);
    if (answer == NULL) return NULL;
    answer[size] = '\0';
    body = strstr(answer, "\r\n\r\n");
    if (body == NULL || strncmp(answer, "HTTP/1.0 200 ", 13) != 0) {
        answer[strcspn(answer, "\r\n")] = '\0';
        fprintf(stderr, "caesura-ps: %s\n",
                size > 9 ? answer + 9 : "no answer");
        free(answer);
        return NULL;
    }
    memmove(answer, body + 4, size - (size_t)(body + 4 - answer) + 1);
    return answer;
}

static int show(const char *what)
{
    char *answer = ask(what);
    if (answer == NULL) return 1;
    fputs(answer, stdout);
    free(answer);
    return fflush(stdout) != 0;
}

/* --- top ----------------------------------------------------------------- */

/* One line of the JSON of tasks: a task. */
struct task {
    unsigned id;
    double running, before;
    unsigned long long steps;
    char name[64], state[64], place[64];
};
enum { MOST = 20000 };

static void text_of(const char *line, const char *key, char *text, size_t size)
{
    const char *at = strstr(line, key);
    size_t i = 0;
    if (at != NULL)
        for (at += strlen(key); *at != '"' && *at != '\0' && i + 1 < size;
             at++)
            if (*at != '\\') text[i++] = *at;
    text[i] = '\0';
}
static double number_of(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    return at != NULL ? atof(at + strlen(key)) : 0;
}

static int busier(const void *a, const void *b)
{
    double of_a =
        ((const struct task *)a)->running - ((const struct task *)a)->before;
    double of_b =
        ((const struct task *)b)->running - ((const struct task *)b)->before;
    return (of_a < of_b) - (of_a > of_b);
}

static size_t tasks_of(char *answer, struct task *tasks,
                       const struct task *old, size_t old_count)
{
    size_t count = 0, i;
    char *line = strtok(answer, "\n");
    for (; line != NULL && count < MOST; line = strtok(NULL, "\n")) {
        struct task *task = &tasks[count];
        char file[48];
        if (strncmp(line, "{\"id\":", 6) != 0) continue;
        memset(task, 0, sizeof *task);
        task->id = (unsigned)number_of(line, "{\"id\":");
        task->running = task->before = number_of(line, "\"running\":");
        task->steps = (unsigned long long)number_of(line, "\"steps\":");
        text_of(line, "\"name\":\"", task->name, sizeof task->name);
        text_of(line, "\"state\":\"", task->state, sizeof task->state);
        text_of(line, "\"file\":\"", file, sizeof file);
        snprintf(task->place, sizeof task->place, "%s:%d", file,
                 (int)number_of(line, "\"line\":"));
        /* Both lists are in the order of creation. */
        for (i = 0; i < old_count; i++)
            if (old[i].id == task->id) {
                task->before = old[i].running;
                break;
            }
        if (i == old_count) task->before = 0;
        count++;
    }
    return count;
}

static int top(int rounds)
{
    static struct task lists[2][MOST], sorted[MOST];
    size_t counts[2] = { 0, 0 }, i;
    int now = 0;
    for (;;) {
        char *answer = ask("tasks");
        if (answer == NULL) return 1;
        counts[now] =
            tasks_of(answer, lists[now], lists[1 - now], counts[1 - now]);
        free(answer);
        memcpy(sorted, lists[now], counts[now] * sizeof sorted[0]);
        qsort(sorted, counts[now], sizeof sorted[0], busier);
        printf("%s%lu tasks\n%8s %10s  %-28s %-24s %s\n",
               isatty(1) ? "\033[H\033[J" : "", (unsigned long)counts[now],
               "ms", "steps", "task", "place", "state");
        for (i = 0; i < counts[now] && i < 20; i++)
            printf("%8.2f %10llu  %-28.28s %-24.24s %s\n",
                   (sorted[i].running - sorted[i].before) * 1e3,
                   sorted[i].steps, sorted[i].name, sorted[i].place,
                   sorted[i].state);
        fflush(stdout);
        if (--rounds == 0) return 0;
        now = 1 - now;
        sleep(1);
    }
}

int main(int argc, char **argv)
{
    const char *command;
    char path[40], what[40];
    struct stat status;
    char *end;
    long number;
    token = getenv("CAESURA_TOKEN");
    if (argc > 2 && strcmp(argv[1], "-t") == 0) {
        token = argv[2];
        argc -= 2;
        argv += 2;
    }
    if (argc < 2) return usage();
    if (token == NULL) {
        fprintf(stderr, "caesura-ps: -t TOKEN, or CAESURA_TOKEN\n");
        return 2;
    }
    number = strtol(argv[1], &end, 10);
    if (*end == '\0' && number > 0) {
        snprintf(path, sizeof path, "/tmp/caesura-%ld.sock", number);
        if (stat(path, &status) == 0)
            memcpy(where, path, sizeof path);
        else if (number < 65536)
            port = (int)number;
        else
            return usage();
    } else if (strlen(argv[1]) < sizeof where) {
        memcpy(where, argv[1], strlen(argv[1]) + 1);
    } else {
        return usage();
    }
    command = argc > 2 ? argv[2] : "tree";
    if (strcmp(command, "trace") == 0) {
        if (argc != 4 || atof(argv[3]) <= 0) return usage();
        snprintf(what, sizeof what, "trace?seconds=%.16s", argv[3]);
        return show(what);
    }
    if (strcmp(command, "top") == 0) return top(argc > 3 ? atoi(argv[3]) : 0);
    if (strcmp(command, "ps") == 0 || strcmp(command, "tree") == 0 ||
        strcmp(command, "warnings") == 0 || strcmp(command, "tasks") == 0)
        return show(command);
    return usage();
}
