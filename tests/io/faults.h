/* Every call of the headers to libuv, failing in turn: faults.c has a wrapper
 * for each function that can fail, which the linker puts in its place
 * (-Wl,--wrap), so the headers know nothing of it.  stories.c has the programs
 * that are run, and tests/scripts/uv_faults joins the two. */
#ifndef FAULTS_H
#define FAULTS_H

typedef struct faults {
    long at;            /* this call fails, counted from 1; 0: none */
    int choice;         /* in which of its ways */
    int paused;         /* the test itself calls libuv */
    int full;           /* nothing can be sent at once: uv_udp_try_send() */
    long seen;          /* how many calls there were */
    const char *failed; /* which it was, or NULL */
    int error;          /* with what; greater than 0: it did less */
    int told;           /* whether somebody must hear of it */
    int harmless;       /* whether nobody may */
    int choices;        /* in how many ways it can fail */
} faults_state;
extern faults_state faults;

/* Begins anew. */
void faults_begin(long at, int choice);

/* How often a function has failed, since the start of the program. */
long faults_of(const char *name);

#endif
