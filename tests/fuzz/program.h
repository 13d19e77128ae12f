/* The programs of the fuzzer as data; see program.py and README.md.
 *
 * An argument is a number, or a word that stands for one: an error, or one of
 * those below. */
#ifndef PROGRAM_H
#define PROGRAM_H

#define ASYNC_USER_ERRORS(X)                                                  \
    X(E1, -10001, "E1")                                                       \
    X(E2, -10002, "E2")                                                       \
    X(E3, -10003, "E3")
/* As many errors as there may be members, so that none is left out. */
#define ASYNC_GROUP_ERRORS 40
#define ASYNC_IMPLEMENTATION
#include "../../async/group.h"
#include "../../async/queue.h"
#include "../../async/sync.h"
#include "../../async/test/virtual.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
#define STATEMENTS(X)                                                         \
    /* what does not wait */                                                  \
    X(log) X(stall) X(add) X(tasks) X(cancel) X(uncancel) X(cancelling)       \
    X(state) X(result) X(drop) X(set) X(fail) X(release) X(locked) X(evset)   \
    X(evclear) X(evisset) X(crelease) X(notify) X(notifyall) X(semrelease)    \
    X(semlocked) X(barinfo) X(putnow) X(getnow) X(taskdone) X(shutdown)       \
    X(qsize) X(spawn) X(member) X(reschedule) X(expired) X(soon) X(later)     \
    X(unsoon) X(ondone) X(undone) X(gatherstart) X(raise) X(reraise)          \
    /* what may */                                                            \
    X(return) X(break) X(continue) X(loop) X(attempt) X(try) X(with)          \
    X(timeout) X(group) X(generate) X(sleep) X(pause) X(await) X(join)        \
    X(call) X(acquire) X(evwait) X(cacquire) X(cwait) X(cwaitfor)             \
    X(semacquire) X(barwait) X(barreset) X(barabort) X(put) X(get) X(qjoin)   \
    X(gather) X(wait) X(completed) X(shield) X(limit)                         \
    /* parts of others */                                                     \
    X(program) X(fn) X(body) X(except) X(else) X(finally) X(before) X(co)     \
    X(task) X(fut) X(gath)
/* clang-format on */

#define STATEMENT_ENUM(name) DO_##name,
enum { STATEMENTS(STATEMENT_ENUM) NO_STATEMENT };
#define STATEMENT_NAME(name) #name,
static const char *const statement_names[] = { STATEMENTS(STATEMENT_NAME) };

enum {
    NEVER = 1000000, /* more than any number */
    ANY,
    ALL,
    FIRST,
    ERROR,
    LOCK,
    CONDITION,
    SEMAPHORE,
    RUN,
    EAGER
};

/* The errors by the names that the traces have. */
static const struct word {
    const char *word;
    int value;
} errors[] = {
    { "E1", E1 },
    { "E2", E2 },
    { "E3", E3 },
    { "Cancelled", ASYNC_ECANCELED },
    { "Timeout", ASYNC_ETIMEDOUT },
    { "Group", ASYNC_EGROUP },
    { "InvalidState", ASYNC_EINVALSTATE },
    { "NotReady", ASYNC_ENOTREADY },
    { "QueueFull", ASYNC_EQUEUEFULL },
    { "QueueEmpty", ASYNC_EQUEUEEMPTY },
    { "QueueShutDown", ASYNC_EQUEUESHUTDOWN },
    { "BrokenBarrier", ASYNC_EBROKENBARRIER },
    { "NotAcquired", ASYNC_ENOTACQUIRED },
    { "WaitUnlocked", ASYNC_EWAITUNLOCKED },
    { "NotifyUnlocked", ASYNC_ENOTIFYUNLOCKED },
    { "OverReleased", ASYNC_EOVERRELEASED },
    { "TaskDone", ASYNC_ETASKDONE },
    { "SelfAwait", ASYNC_ESELFAWAIT },
    { "TimeoutNew", ASYNC_ETIMEOUTNEW },
    { "TimeoutExpiring", ASYNC_ETIMEOUTEXPIRING },
    { "TimeoutExpired", ASYNC_ETIMEOUTEXPIRED },
    { "TimeoutOver", ASYNC_ETIMEOUTOVER },
    { "GroupOver", ASYNC_EGROUPOVER },
    { "GroupAbort", ASYNC_EGROUPABORT },
    { "NoFutures", ASYNC_ENOFUTURES },
    { "Invalid", ASYNC_EINVAL },
    { NULL, 0 },
};
static const struct word words[] = {
    { "never", NEVER },    { "any", ANY },       { "all", ALL },
    { "first", FIRST },    { "error", ERROR },   { "lock", LOCK },
    { "cond", CONDITION }, { "sem", SEMAPHORE }, { "run", RUN },
    { "eager", EAGER },    { "task", DO_task },  { "fut", DO_fut },
    { "gath", DO_gath },   { NULL, 0 },
};

static inline const char *name_of(int error)
{
    const struct word *known;
    for (known = errors; known->word != NULL; known++)
        if (known->value == error) return known->word;
    return async_strerror(error);
}

static inline int value_of(const char *word)
{
    const struct word *known;
    for (known = errors; known->word != NULL; known++)
        if (strcmp(known->word, word) == 0) return known->value;
    for (known = words; known->word != NULL; known++)
        if (strcmp(known->word, word) == 0) return known->value;
    return atoi(word);
}

typedef struct node {
    int op;
    int args[4];
    struct node *children, *next;
} node;

/* The children of the child of that kind; none if it has no such one. */
static inline const node *part(const node *of, int op)
{
    const node *child = of->children;
    while (child != NULL && child->op != op) child = child->next;
    return child != NULL ? child->children : NULL;
}

enum { NODES = 8192, DEPTH = 64 };
static struct {
    node nodes[NODES];
    int used;
    int line;
    char text[256]; /* the next program's first line, or nothing */
} source;

__attribute__((noreturn)) static inline void give_up(const char *why)
{
    fprintf(stderr, "line %d: %s: %s", source.line, why, source.text);
    exit(2);
}

static inline node *parse_line(int *depth)
{
    node *made = &source.nodes[source.used++];
    char *text = source.text, *word;
    int n = 0;
    if (source.used == NODES) give_up("this program is too long");
    *depth = (int)strspn(text, " ");
    memset(made, 0, sizeof *made);
    word = strtok(text, " \n");
    while (made->op < NO_STATEMENT &&
           strcmp(statement_names[made->op], word) != 0)
        made->op++;
    if (made->op == NO_STATEMENT || *depth >= DEPTH)
        give_up("no such statement");
    while ((word = strtok(NULL, " \n")) != NULL && n < 4)
        made->args[n++] = value_of(word);
    return made;
}

/* The next program of the input, or NULL. */
static inline node *parse(FILE *input)
{
    node **places[DEPTH + 1]; /* where the next one of each depth goes */
    node *program = NULL, *made;
    int depth;
    source.used = 0;
    places[0] = &program;
    for (;; source.line++) {
        if (source.text[0] == '\0' &&
            fgets(source.text, sizeof source.text, input) == NULL)
            break;
        if (strncmp(source.text, "program", 7) == 0 && program != NULL) break;
        if (source.text[0] != '\n' && source.text[0] != '#') {
            made = parse_line(&depth);
            *places[depth] = made;
            places[depth] = &made->next;
            places[depth + 1] = &made->children;
        }
        source.text[0] = '\0';
    }
    return program;
}

#endif
