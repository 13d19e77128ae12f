/* file_copy - copies a file in pieces, with a progress bar, while the loop goes
 * on.
 *
 * Usage: file_copy [-p] SOURCE TARGET
 *
 * The bar goes to stderr, if that is a terminal or -p asks for it.  Without
 * arguments a file that it makes in a temporary directory is copied. */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"
#include "../async/uv/fs.h"

#include <stdio.h>
#include <string.h>

static int progress; /* whether there is a bar */

/* Draws the bar ten times a second, beside the copy that it looks at. */
struct show { ASYNC_FRAME; const int64_t *done; int64_t total; };
static ASYNC(show)
{
    int i;
    ASYNC_BEGIN(show);
    for (;;) {
        fprintf(stderr, "\r[");
        for (i = 0; i < 40; i++)
            fputc(i < (int)(*self->done * 40 / self->total) ? '#' : '.',
                  stderr);
        fprintf(stderr, "] %3d %%", (int)(*self->done * 100 / self->total));
        AWAIT(async_sleep, ASYNC_MS(100));
    }
    ASYNC_END;
}

struct copy {
    ASYNC_RETURNS(int64_t); /* how much it was */
    const char *from, *to;
    int source, target;
    size_t n;
    int64_t done;
    uv_stat_t status;
    async_task *bar;
    char piece[65536];
};
static ASYNC(copy)
{
    ASYNC_BEGIN(copy);
    AWAIT_INTO(self->source, async_fs_open, self->from, O_RDONLY);
    ASYNC_TRY {
        AWAIT_INTO(self->status, async_fs_fstat, self->source);
        AWAIT_INTO(self->target, async_fs_open, self->to,
                   O_WRONLY | O_CREAT | O_TRUNC);
        if (progress && self->status.st_size > 0)
            self->bar = async_create_task(
                CO(show, &self->done, (int64_t)self->status.st_size));
        ASYNC_TRY {
            for (;;) {
                AWAIT_INTO(self->n, async_fs_read, self->source, self->piece,
                           sizeof self->piece);
                if (self->n == 0) break;
                AWAIT(async_fs_write, self->target, self->piece, self->n);
                self->done += (int64_t)self->n;
            }
        } ASYNC_FINALLY { /* however it ends, Ctrl-C included */
            if (self->bar != NULL) {
                async_task_cancel(self->bar);
                async_task_release(self->bar);
                fprintf(stderr, "\r%50s\r", "");
            }
            AWAIT(async_fs_close, self->target);
        } ASYNC_END_TRY
    } ASYNC_FINALLY {
        AWAIT(async_fs_close, self->source);
    } ASYNC_END_TRY
    ASYNC_RETURN(self->done);
    ASYNC_END;
}

/* Makes a file of a thousand lines, copies it, and looks at the copy. */
struct demonstrate {
    ASYNC_FRAME;
    char directory[32], from[48], to[48], line[64];
    int file, i;
    int64_t size;
    async_buffer one, other;
    struct async_fs_scandir entries;
    uv_dirent_t entry;
};
static ASYNC(demonstrate)
{
    ASYNC_BEGIN(demonstrate);
    strcpy(self->directory, "/tmp/caesura-XXXXXX");
    AWAIT(async_fs_mkdtemp, self->directory);
    sprintf(self->from, "%s/original", self->directory);
    sprintf(self->to, "%s/copy", self->directory);
    ASYNC_TRY {
        AWAIT_INTO(self->file, async_fs_open, self->from, O_WRONLY | O_CREAT);
        ASYNC_TRY {
            for (self->i = 0; self->i < 1000; self->i++) {
                sprintf(self->line, "%04d: all work and no play\n", self->i);
                AWAIT(async_fs_write, self->file, self->line,
                      strlen(self->line));
            }
        } ASYNC_FINALLY {
            AWAIT(async_fs_close, self->file);
        } ASYNC_END_TRY
        AWAIT_INTO(self->size, copy, self->from, self->to);
        printf("copied %ld bytes\n", (long)self->size);
        AWAIT(async_fs_read_file, self->from, &self->one);
        AWAIT(async_fs_read_file, self->to, &self->other);
        puts(strcmp(self->one.data, self->other.data) == 0 ? "they are equal"
                                                           : "they differ");
    } ASYNC_FINALLY {
        async_buffer_free(&self->one);
        async_buffer_free(&self->other);
        self->entries = ASYNC_GENERATOR(async_fs_scandir, self->directory);
        ASYNC_FOR(self->entry, &self->entries) {
            printf("removing %s\n", self->entry.name);
            sprintf(self->line, "%s/%.20s", self->directory, self->entry.name);
            AWAIT(async_fs_unlink, self->line);
        } ASYNC_END_FOR
        AWAIT(async_fs_rmdir, self->directory);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(int argc, char **argv)
{
    int asked = argc > 1 && strcmp(argv[1], "-p") == 0;
    progress = asked || uv_guess_handle(2) == UV_TTY;
    if (argc - asked == 3)
        return async_run(CO(copy, argv[1 + asked], argv[2 + asked])) != 0;
    if (argc - asked == 1) return async_run(CO(demonstrate)) != 0;
    fprintf(stderr, "usage: file_copy [-p] SOURCE TARGET\n");
    return 2;
}
