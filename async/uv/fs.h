/* fs.h - files and directories
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     AWAIT_INTO(self->file, async_fs_open, "notes.txt", O_RDONLY);
 *     ASYNC_TRY {
 *         AWAIT_INTO(self->n, async_fs_read, self->file, self->buffer,
 *                    sizeof self->buffer);
 *     } ASYNC_FINALLY {
 *         AWAIT(async_fs_close, self->file);
 *     } ASYNC_END_TRY
 *
 * Systems can wait for sockets, but not for files: libuv does these calls on
 * threads of its own (four, or UV_THREADPOOL_SIZE in the environment), so that
 * the loop goes on meanwhile.  Names, arguments and errors are libuv's and the
 * system's.
 *
 *   OPEN FILES     open, close, read, write, fsync, ftruncate
 *   WHOLE FILES    async_fs_read_file
 *   NAMES          stat, rename, unlink, copyfile, links, modes, times
 *   DIRECTORIES    mkdir, rmdir, mkdtemp, scandir
 *   WATCHING       what changes in a file or a directory
 *
 * Paths are used only until an await first suspends; buffers until it ends.
 *
 * Errors, of all: what the system says (-ENOENT, -EACCES, -EISDIR, -ENOSPC
 * ...); ASYNC_ENOTASK; ASYNC_EINVAL on a loop that is not libuv's;
 * ASYNC_ENOMEM.
 *
 * Cancel, of all unless it is said: a request that no thread has begun is taken
 * back, and has done nothing.  One that has begun cannot be stopped; the
 * cancellation is raised when it has ended, and what it did is done.  What only
 * its result would have told of (an open file, a directory that was made) is
 * given back.  So who opens a FIFO to which nobody writes cannot be hurried.
 */
#ifndef CAESURA_UV_FS_H
#define CAESURA_UV_FS_H

#include "buffer.h"
#include "handle.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* Private: a request, in the frame of who waits for it. */
typedef struct async__fs {
    async__work work;
    uv_fs_t request;
} async__fs;

/* ------------------------------------------------------------------------
 * OPEN FILES
 * ------------------------------------------------------------------------ */

/* AWAIT_INTO(file, async_fs_open, path, flags, mode): opens a file.
 * flags    O_RDONLY, O_WRONLY | O_CREAT | O_TRUNC ... (UV_FS_O_RDONLY ... on
 *          every system); close-on-exec is added
 * mode     of one that is created, less the umask; 0: 0666
 * Result   an int: the descriptor, which async_fs_close() gives back
 * Counterpart: uv_fs_open(). */
struct async_fs_open {
    ASYNC_RETURNS(int);
    const char *path;
    int flags, mode;
    async__fs fs;
};
ASYNC(async_fs_open);

/* AWAIT(async_fs_close, file): closes it.
 * Errors   -EBADF; -EIO, -ENOSPC ... from data that had not been written yet.
 *          It is closed all the same.
 * Cancel   raised when it is closed
 * Counterpart: uv_fs_close(). */
struct async_fs_close {
    ASYNC_FRAME;
    uv_file file;
    async__fs fs;
};
ASYNC(async_fs_close);

/* AWAIT_INTO(n, async_fs_read, file, buffer, size): reads from where the file
 * stands, up to `size` bytes (at least 1).
 * Result   how many (size_t); 0 at the end
 * Errors   ASYNC_EINVAL for no size
 * Cancel   after one that had begun, the file stands further on
 * Counterpart: uv_fs_read() with the offset -1. */
struct async_fs_read {
    ASYNC_RETURNS(size_t);
    uv_file file;
    void *buffer;
    size_t size;
    async__fs fs;
};
ASYNC(async_fs_read);

/* The same at a place, from which it does not move the file:
 * AWAIT_INTO(n, async_fs_read_at, file, buffer, size, offset). */
struct async_fs_read_at {
    ASYNC_RETURNS(size_t);
    uv_file file;
    void *buffer;
    size_t size;
    int64_t offset;
    async__fs fs;
};
ASYNC(async_fs_read_at);

/* AWAIT(async_fs_write, file, data, size): writes all of it, where the file
 * stands (with O_APPEND, at its end).
 * Errors   -ENOSPC, -EDQUOT; -EFBIG beyond what the system allows (SIGXFSZ is
 *          ignored, unless the program has set what it does).  A part may have
 *          been written.
 * Cancel   a part may have been written
 * Counterpart: uv_fs_write() with the offset -1, until all is out. */
struct async_fs_write {
    ASYNC_FRAME;
    uv_file file;
    const void *data;
    size_t size;
    size_t done;
    async__fs fs;
};
ASYNC(async_fs_write);

/* The same at a place, from which it does not move the file:
 * AWAIT(async_fs_write_at, file, data, size, offset). */
struct async_fs_write_at {
    ASYNC_FRAME;
    uv_file file;
    const void *data;
    size_t size;
    int64_t offset;
    size_t done;
    async__fs fs;
};
ASYNC(async_fs_write_at);

/* AWAIT(async_fs_fsync, file): has the system put it on the disk;
 * AWAIT(async_fs_fdatasync, file): its data alone.
 * AWAIT(async_fs_ftruncate, file, size): makes it so long. */
struct async_fs_fsync { ASYNC_FRAME; uv_file file; async__fs fs; };
ASYNC(async_fs_fsync);
struct async_fs_fdatasync { ASYNC_FRAME; uv_file file; async__fs fs; };
ASYNC(async_fs_fdatasync);
struct async_fs_ftruncate {
    ASYNC_FRAME;
    uv_file file;
    int64_t size;
    async__fs fs;
};
ASYNC(async_fs_ftruncate);

/* ------------------------------------------------------------------------
 * WHOLE FILES
 * ------------------------------------------------------------------------ */

/* AWAIT(async_fs_read_file, path, bytes, limit): reads a file from its
 * beginning to its end.
 * bytes    the caller's, who frees them: async_buffer_free().  Empty after an
 *          error or a cancellation.
 * limit    how many bytes to take at most; 0: no limit but memory
 * Errors   -EFBIG when there is more; ASYNC_ENOMEM
 * Counterpart: pathlib.Path.read_bytes(). */
struct async_fs_read_file {
    ASYNC_FRAME;
    const char *path;
    async_buffer *bytes;
    size_t limit;
    uv_file file;
    int error;
    char next; /* the byte behind what there is room for */
    async__fs fs;
};
ASYNC(async_fs_read_file);

/* ------------------------------------------------------------------------
 * NAMES
 * ------------------------------------------------------------------------ */

/* AWAIT_INTO(status, async_fs_stat, path): a uv_stat_t: st_size, st_mode,
 * st_mtim ...
 * AWAIT_INTO(status, async_fs_lstat, path): of a symbolic link itself
 * AWAIT_INTO(status, async_fs_fstat, file): of an open file */
struct async_fs_stat {
    ASYNC_RETURNS(uv_stat_t);
    const char *path;
    async__fs fs;
};
ASYNC(async_fs_stat);
struct async_fs_lstat {
    ASYNC_RETURNS(uv_stat_t);
    const char *path;
    async__fs fs;
};
ASYNC(async_fs_lstat);
struct async_fs_fstat { ASYNC_RETURNS(uv_stat_t); uv_file file; async__fs fs; };
ASYNC(async_fs_fstat);

/* AWAIT(async_fs_access, path, mode): raises why it may not be used; R_OK,
 * W_OK, X_OK, or F_OK (0): whether it exists. */
struct async_fs_access {
    ASYNC_FRAME;
    const char *path;
    int mode;
    async__fs fs;
};
ASYNC(async_fs_access);

/* AWAIT(async_fs_rename, path, new_path): in place of what has that name.
 * AWAIT(async_fs_unlink, path): removes a file. */
struct async_fs_rename {
    ASYNC_FRAME;
    const char *path, *new_path;
    async__fs fs;
};
ASYNC(async_fs_rename);
struct async_fs_unlink { ASYNC_FRAME; const char *path; async__fs fs; };
ASYNC(async_fs_unlink);

/* AWAIT(async_fs_copyfile, path, new_path, flags): copies a file with its mode.
 * flags    UV_FS_COPYFILE_EXCL: -EEXIST when there is one of that name;
 *          UV_FS_COPYFILE_FICLONE: share the data, where the system can
 * Cancel   one that has begun copies the whole file */
struct async_fs_copyfile {
    ASYNC_FRAME;
    const char *path, *new_path;
    int flags;
    async__fs fs;
};
ASYNC(async_fs_copyfile);

/* AWAIT(async_fs_link, path, new_path): a second name for a file.
 * AWAIT(async_fs_symlink, path, new_path, flags): a symbolic link; the flags
 * are for Windows: UV_FS_SYMLINK_DIR ... */
struct async_fs_link {
    ASYNC_FRAME;
    const char *path, *new_path;
    async__fs fs;
};
ASYNC(async_fs_link);
struct async_fs_symlink {
    ASYNC_FRAME;
    const char *path, *new_path;
    int flags;
    async__fs fs;
};
ASYNC(async_fs_symlink);

/* AWAIT_INTO(length, async_fs_readlink, path, place, size): what a symbolic
 * link says.
 * AWAIT_INTO(length, async_fs_realpath, path, place, size): the path without
 * links, from the root.
 * Result   its length (size_t); the text, with a '\0', is in `place`
 * Errors   -ENAMETOOLONG when it does not fit */
struct async_fs_readlink {
    ASYNC_RETURNS(size_t);
    const char *path;
    char *place;
    size_t size;
    async__fs fs;
};
ASYNC(async_fs_readlink);
struct async_fs_realpath {
    ASYNC_RETURNS(size_t);
    const char *path;
    char *place;
    size_t size;
    async__fs fs;
};
ASYNC(async_fs_realpath);

/* AWAIT(async_fs_chmod, path, mode), AWAIT(async_fs_fchmod, file, mode).
 * AWAIT(async_fs_utime, path, accessed, modified) and
 * AWAIT(async_fs_futime, file, accessed, modified): in seconds since 1970. */
struct async_fs_chmod {
    ASYNC_FRAME;
    const char *path;
    int mode;
    async__fs fs;
};
ASYNC(async_fs_chmod);
struct async_fs_fchmod {
    ASYNC_FRAME;
    uv_file file;
    int mode;
    async__fs fs;
};
ASYNC(async_fs_fchmod);
struct async_fs_utime {
    ASYNC_FRAME;
    const char *path;
    double accessed, modified;
    async__fs fs;
};
ASYNC(async_fs_utime);
struct async_fs_futime {
    ASYNC_FRAME;
    uv_file file;
    double accessed, modified;
    async__fs fs;
};
ASYNC(async_fs_futime);

/* ------------------------------------------------------------------------
 * DIRECTORIES
 * ------------------------------------------------------------------------ */

/* AWAIT(async_fs_mkdir, path, mode): makes a directory; mode 0: 0777, less the
 * umask.  AWAIT(async_fs_rmdir, path): removes an empty one. */
struct async_fs_mkdir {
    ASYNC_FRAME;
    const char *path;
    int mode;
    async__fs fs;
};
ASYNC(async_fs_mkdir);
struct async_fs_rmdir { ASYNC_FRAME; const char *path; async__fs fs; };
ASYNC(async_fs_rmdir);

/* AWAIT(async_fs_mkdtemp, path): makes a directory with a name of its own.
 * path     ends in "XXXXXX", which the name replaces.  Until the await ends.
 * Cancel   a directory that was made is removed
 * Counterparts: tempfile.mkdtemp(), uv_fs_mkdtemp(). */
struct async_fs_mkdtemp {
    ASYNC_FRAME;
    char *path;
    async__fs fs;
};
ASYNC(async_fs_mkdtemp);

/* A generator of what is in a directory, but for "." and ".."; on POSIX in the
 * order of the names:
 *
 *     self->entries = ASYNC_GENERATOR(async_fs_scandir, "/tmp");
 *     ASYNC_FOR(self->entry, &self->entries) {      a uv_dirent_t
 *         puts(self->entry.name);
 *     } ASYNC_END_FOR
 *
 * entry.name is good until the next step; entry.type is UV_DIRENT_FILE,
 * UV_DIRENT_DIR, UV_DIRENT_LINK ..., or UV_DIRENT_UNKNOWN.
 * Errors   in the first step, which reads the whole directory
 * Memory   the names, from libuv's allocator, until the end; one that is not
 *          iterated to its end is to be closed, as any generator
 * Counterparts: os.scandir(), uv_fs_scandir(). */
struct async_fs_scandir {
    ASYNC_YIELDS(uv_dirent_t);
    const char *path; /* until the first step suspends */
    async__fs fs;
};
ASYNC(async_fs_scandir);

/* ------------------------------------------------------------------------
 * WATCHING
 *
 * A watch is a struct of the caller's, zeroed; from its opening on it must
 * neither move nor go until it has been closed.  What happens while nobody
 * waits is kept, as one: the next wait gets all of it.
 *
 *     AWAIT(async_fs_watch_open, &self->watch, "settings.conf");
 *     for (;;) {
 *         AWAIT(async_fs_watch_wait, &self->watch);
 *         AWAIT(read_settings);
 *     }                                            close it in a FINALLY
 * ------------------------------------------------------------------------ */
typedef struct async_fs_watch async_fs_watch;

/* AWAIT(async_fs_watch_open, watch, path, flags): the system (inotify, kqueue
 * ...) tells of changes to a file, or to a directory and what is in it.
 * flags    libuv's; on macOS and Windows UV_FS_EVENT_RECURSIVE watches what is
 *          further down, too
 * Errors   ASYNC_EBUSY when it is open.  After an error it is closed.
 * Cancel   does not wait, but after an error
 * Counterpart: uv_fs_event_start(). */
struct async_fs_watch_open {
    ASYNC_FRAME;
    async_fs_watch *watch;
    const char *path;
    unsigned flags;
    int error;
    async__closer closer;
};
ASYNC(async_fs_watch_open);

/* AWAIT(async_fs_watch_poll, watch, path, interval): looks at its status every
 * `interval`, which works on every file system; one that is not there yet, or
 * no more, too: that, and each change of it, is an error of the wait.
 * Errors, Cancel   as of async_fs_watch_open
 * Counterpart: uv_fs_poll_start(). */
struct async_fs_watch_poll {
    ASYNC_FRAME;
    async_fs_watch *watch;
    const char *path;
    async_duration interval; /* in whole milliseconds, at least one */
    int error;
    async__closer closer;
};
ASYNC(async_fs_watch_poll);

/* AWAIT_INTO(events, async_fs_watch_wait, watch): waits for a change, and goes
 * on at once if there was one since the last wait ended.
 * Result   what happened (int): UV_RENAME (came, went, got another name),
 *          UV_CHANGE, or both
 * Errors   what the system says, once, and the watch goes on; ASYNC_EBUSY when
 *          another task waits (one that was cancelled does until it has run);
 *          ASYNC_ECLOSED; ASYNC_EOTHERLOOP, ASYNC_ENOTASK
 * Cancel   at once; no change is lost: the next wait gets it */
struct async_fs_watch_wait {
    ASYNC_RETURNS(int);
    async_fs_watch *watch;
    async_operation arrival;
};
ASYNC(async_fs_watch_wait);

/* After a wait and before the next await: the name of the file that the change
 * was about, in the directory that is watched; "" when there were several, or
 * the system does not tell. */
static inline const char *async_fs_watch_name(const async_fs_watch *watch);

/* AWAIT(async_fs_watch_close, watch): goes on when libuv has let go of its
 * memory.  Who waits gets ASYNC_ECLOSED.  One that is not open: nothing.
 * Cancel   raised when it is closed all the same
 * Counterpart: uv_close(). */
struct async_fs_watch_close {
    ASYNC_FRAME;
    async_fs_watch *watch;
    async__closer closer;
};
ASYNC(async_fs_watch_close);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
struct async_fs_watch {
    async__resource resource; /* must be first */
    union {
        uv_handle_t any;
        uv_fs_event_t event;
        uv_fs_poll_t poll;
    } handle;
    async_operation *waiter;
    int events, error; /* since the last wait */
    char name[256];
};

static inline const char *async_fs_watch_name(const async_fs_watch *watch)
{
    return watch->name;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_FS_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_FS_IMPLEMENTED)
#define CAESURA_UV_FS_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

/* --- a request ----------------------------------------------------------- */

static void async__fs_on_done(uv_fs_t *request)
{
    async__work_done((async__work *)request->data,
                     request->result < 0 ? (int)request->result : 0);
}

static int async__fs_begin(async__fs *fs, const async *co)
{
    int error = async__uv_check(co);
    if (!error) async__work_begin(&fs->work, async_loop_of(co), &fs->request);
    return error;
}

/* libuv's function, with its arguments between the request and the callback. */
#define ASYNC__FS(function, ...)                                              \
    function(async_uv_loop_of(async_loop_of(co)), &self->fs.request,          \
             __VA_ARGS__, async__fs_on_done)

/* Begins a request and waits until it has ended; then its result is there and
 * an error, or a cancellation that came meanwhile, in co->error.  What it has
 * brought is to be taken, or given back, before ASYNC__FS_END. */
#define ASYNC__FS_AWAIT(call)                                                 \
    do {                                                                      \
        {                                                                     \
            int async__begun = async__fs_begin(&self->fs, co);                \
            if (!async__begun) async__begun = (call);                         \
            if (async__begun) ASYNC_RAISE(async__begun);                      \
        }                                                                     \
        ASYNC__WAIT_FOR(&self->fs.work.operation.future);                     \
        (void)async__awaited(co);                                             \
        async__drop(co);                                                      \
    } while (0)
#define ASYNC__FS_END                                                         \
    do {                                                                      \
        uv_fs_req_cleanup(&self->fs.request);                                 \
        ASYNC__CHECK;                                                         \
    } while (0)

/* A coroutine that is one request, and what its result is made of. */
#define ASYNC__FS_COROUTINE(name, ...)                                        \
    ASYNC(name)                                                               \
    {                                                                         \
        ASYNC_BEGIN(name);                                                    \
        ASYNC__FS_AWAIT(ASYNC__FS(__VA_ARGS__));                              \
        ASYNC__FS_END;                                                        \
        ASYNC_END;                                                            \
    }
#define ASYNC__FS_STATUS(name, ...)                                           \
    ASYNC(name)                                                               \
    {                                                                         \
        ASYNC_BEGIN(name);                                                    \
        ASYNC__FS_AWAIT(ASYNC__FS(__VA_ARGS__));                              \
        ASYNC__FS_END;                                                        \
        ASYNC_RETURN(self->fs.request.statbuf);                               \
        ASYNC_END;                                                            \
    }
#define ASYNC__FS_TEXT(name, ...)                                             \
    ASYNC(name)                                                               \
    {                                                                         \
        ASYNC_BEGIN(name);                                                    \
        ASYNC__FS_AWAIT(ASYNC__FS(__VA_ARGS__));                              \
        if (!co->error)                                                       \
            self->frame.result = async__fs_copy(                              \
                co, &self->fs, self->place, self->size);                      \
        ASYNC__FS_END;                                                        \
        ASYNC_RETURN(self->frame.result);                                     \
        ASYNC_END;                                                            \
    }

ASYNC__FS_COROUTINE(async_fs_fsync, uv_fs_fsync, self->file)
ASYNC__FS_COROUTINE(async_fs_fdatasync, uv_fs_fdatasync, self->file)
ASYNC__FS_COROUTINE(async_fs_ftruncate, uv_fs_ftruncate, self->file,
                    self->size)
ASYNC__FS_COROUTINE(async_fs_access, uv_fs_access, self->path, self->mode)
ASYNC__FS_COROUTINE(async_fs_rename, uv_fs_rename, self->path, self->new_path)
ASYNC__FS_COROUTINE(async_fs_unlink, uv_fs_unlink, self->path)
ASYNC__FS_COROUTINE(async_fs_copyfile, uv_fs_copyfile, self->path,
                    self->new_path, self->flags)
ASYNC__FS_COROUTINE(async_fs_link, uv_fs_link, self->path, self->new_path)
ASYNC__FS_COROUTINE(async_fs_symlink, uv_fs_symlink, self->path,
                    self->new_path, self->flags)
ASYNC__FS_COROUTINE(async_fs_chmod, uv_fs_chmod, self->path, self->mode)
ASYNC__FS_COROUTINE(async_fs_fchmod, uv_fs_fchmod, self->file, self->mode)
ASYNC__FS_COROUTINE(async_fs_utime, uv_fs_utime, self->path, self->accessed,
                    self->modified)
ASYNC__FS_COROUTINE(async_fs_futime, uv_fs_futime, self->file, self->accessed,
                    self->modified)
ASYNC__FS_COROUTINE(async_fs_mkdir, uv_fs_mkdir, self->path,
                    self->mode ? self->mode : 0777)
ASYNC__FS_COROUTINE(async_fs_rmdir, uv_fs_rmdir, self->path)
ASYNC__FS_STATUS(async_fs_stat, uv_fs_stat, self->path)
ASYNC__FS_STATUS(async_fs_lstat, uv_fs_lstat, self->path)
ASYNC__FS_STATUS(async_fs_fstat, uv_fs_fstat, self->file)

/* Copies the text that a request has brought, and tells its length. */
static size_t async__fs_copy(async *co, const async__fs *fs, char *place,
                             size_t size)
{
    const char *text = (const char *)fs->request.ptr;
    size_t length = strlen(text);
    if (length >= size)
        async__raised(co, UV_ENAMETOOLONG);
    else
        memcpy(place, text, length + 1);
    return length;
}
ASYNC__FS_TEXT(async_fs_readlink, uv_fs_readlink, self->path)
ASYNC__FS_TEXT(async_fs_realpath, uv_fs_realpath, self->path)

ASYNC(async_fs_mkdtemp)
{
    uv_fs_t removal;
    ASYNC_BEGIN(async_fs_mkdtemp);
    ASYNC__FS_AWAIT(ASYNC__FS(uv_fs_mkdtemp, self->path));
    if (!co->error) {
        memcpy(self->path, self->fs.request.path, strlen(self->path));
    } else if (self->fs.request.result >= 0) {
        uv_fs_rmdir(NULL, &removal, self->fs.request.path, NULL);
        uv_fs_req_cleanup(&removal);
    }
    ASYNC__FS_END;
    ASYNC_END;
}

ASYNC(async_fs_scandir)
{
    ASYNC_BEGIN(async_fs_scandir);
    ASYNC__FS_AWAIT(ASYNC__FS(uv_fs_scandir, self->path, 0));
    ASYNC_TRY {
        ASYNC__CHECK;
        while (uv_fs_scandir_next(&self->fs.request, &self->frame.value) == 0)
            ASYNC_YIELD(self->frame.value);
    } ASYNC_FINALLY {
        uv_fs_req_cleanup(&self->fs.request);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- open files ---------------------------------------------------------- */

/* A file that was opened for one who has been cancelled. */
static void async__fs_give_back(const async *co, const async__fs *fs)
{
    if (co->error && fs->request.result >= 0)
        async__close_descriptor((uv_file)fs->request.result);
}

ASYNC(async_fs_open)
{
    ASYNC_BEGIN(async_fs_open);
    ASYNC__FS_AWAIT(ASYNC__FS(uv_fs_open, self->path, self->flags,
                              self->mode ? self->mode : 0666));
    async__fs_give_back(co, &self->fs);
    ASYNC__FS_END;
    ASYNC_RETURN((int)self->fs.request.result);
    ASYNC_END;
}

/* It must not be taken back: nobody would close the file any more. */
static int async__fs_close(async__fs *fs, uv_loop_t *loop, uv_file file)
{
    fs->work.operation.cancel = async__closer_goes_on;
    return uv_fs_close(loop, &fs->request, file, async__fs_on_done);
}

ASYNC(async_fs_close)
{
    ASYNC_BEGIN(async_fs_close);
    ASYNC__FS_AWAIT(async__fs_close(
        &self->fs, async_uv_loop_of(async_loop_of(co)), self->file));
    ASYNC__FS_END;
    ASYNC_END;
}

static int async__fs_read(async__fs *fs, const async *co, uv_file file,
                          void *data, size_t size, int64_t offset)
{
    uv_buf_t buffer = uv_buf_init((char *)data, 0);
    if (size == 0) return ASYNC_EINVAL;
    buffer.len = size;
    return uv_fs_read(async_uv_loop_of(async_loop_of(co)), &fs->request, file,
                      &buffer, 1, offset, async__fs_on_done);
}
static int async__fs_write(async__fs *fs, const async *co, uv_file file,
                           const void *data, size_t size, int64_t offset)
{
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)data, 0);
    buffer.len = size;
    return uv_fs_write(async_uv_loop_of(async_loop_of(co)), &fs->request, file,
                       &buffer, 1, offset, async__fs_on_done);
}

#define ASYNC__FS_READ(name, offset)                                          \
    ASYNC(name)                                                               \
    {                                                                         \
        ASYNC_BEGIN(name);                                                    \
        ASYNC__FS_AWAIT(async__fs_read(&self->fs, co, self->file,             \
                                       self->buffer, self->size, (offset)));  \
        ASYNC__FS_END;                                                        \
        ASYNC_RETURN((size_t)self->fs.request.result);                        \
        ASYNC_END;                                                            \
    }
ASYNC__FS_READ(async_fs_read, -1)
ASYNC__FS_READ(async_fs_read_at, self->offset)

/* A write that takes nothing would be tried for ever. */
#define ASYNC__FS_WRITE(name, offset)                                         \
    ASYNC(name)                                                               \
    {                                                                         \
        ASYNC_BEGIN(name);                                                    \
        for (; self->done < self->size;                                       \
             self->done += (size_t)self->fs.request.result) {                 \
            ASYNC__FS_AWAIT(async__fs_write(                                  \
                &self->fs, co, self->file,                                    \
                (const char *)self->data + self->done,                        \
                self->size - self->done, (offset)));                          \
            ASYNC__FS_END;                                                    \
            if (self->fs.request.result == 0) ASYNC_RAISE(UV_EIO);            \
        }                                                                     \
        ASYNC_END;                                                            \
    }
ASYNC__FS_WRITE(async_fs_write, -1)
ASYNC__FS_WRITE(async_fs_write_at, self->offset + (int64_t)self->done)

/* --- whole files --------------------------------------------------------- */

/* Room for what the file says that it has, or for more than there is room for
 * when it had more. */
static int async__fs_grow(struct async_fs_read_file *self, const async *co,
                          uint64_t room)
{
    int error;
    if (room > SIZE_MAX / 2) return ASYNC_ENOMEM;
    if (self->limit > 0 && self->bytes->size >= self->limit) return UV_EFBIG;
    error = async__buffer_grow(self->bytes, async_loop_of(co), (size_t)room,
                              self->limit);
    return error == UV_ENOBUFS ? (int)UV_EFBIG : error;
}

/* What has been read: into the room, or the byte behind it. */
static int async__fs_took(struct async_fs_read_file *self, const async *co)
{
    int error;
    if (self->bytes->size < self->bytes->room) {
        async__buffer_got(self->bytes, (size_t)self->fs.request.result);
        return 0;
    }
    if (self->fs.request.result == 0) return 0;
    error = async__fs_grow(self, co, (uint64_t)self->bytes->room * 2);
    if (error) return error;
    self->bytes->data[self->bytes->size] = self->next;
    async__buffer_got(self->bytes, 1);
    return 0;
}

ASYNC(async_fs_read_file)
{
    ASYNC_BEGIN(async_fs_read_file);
    async_buffer_free(self->bytes);
    ASYNC__FS_AWAIT(ASYNC__FS(uv_fs_open, self->path, UV_FS_O_RDONLY, 0));
    async__fs_give_back(co, &self->fs);
    ASYNC__FS_END;
    self->file = (uv_file)self->fs.request.result;
    ASYNC_TRY {
        ASYNC__FS_AWAIT(ASYNC__FS(uv_fs_fstat, self->file));
        ASYNC__FS_END;
        self->error = self->limit > 0 &&
                              self->fs.request.statbuf.st_size > self->limit
                          ? (int)UV_EFBIG
                          : async__fs_grow(
                                self, co,
                                self->fs.request.statbuf.st_size > 0
                                    ? self->fs.request.statbuf.st_size
                                    : 4096);
        if (self->error) ASYNC_RAISE(self->error);
        do {
            ASYNC__FS_AWAIT(
                self->bytes->size < self->bytes->room
                    ? async__fs_read(&self->fs, co, self->file,
                                     self->bytes->data + self->bytes->size,
                                     self->bytes->room - self->bytes->size, -1)
                    : async__fs_read(&self->fs, co, self->file, &self->next, 1,
                                     -1));
            ASYNC__FS_END;
            self->error = async__fs_took(self, co);
            if (self->error) ASYNC_RAISE(self->error);
        } while (self->fs.request.result > 0);
    } ASYNC_EXCEPT_ALL(self->error) {
        async_buffer_free(self->bytes);
        ASYNC_RAISE(self->error);
    } ASYNC_FINALLY {
        ASYNC__FS_AWAIT(async__fs_close(
            &self->fs, async_uv_loop_of(async_loop_of(co)), self->file));
        if (co->error) async_buffer_free(self->bytes);
        ASYNC__FS_END;
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- watching ------------------------------------------------------------ */

static void async__watch_tell(async_fs_watch *watch, const char *name,
                              int events, int error)
{
    if (watch->resource.state != ASYNC__IS_OPEN) return;
    if (name == NULL || strlen(name) >= sizeof watch->name) name = "";
    if (watch->events == 0 && watch->error == 0)
        memcpy(watch->name, name, strlen(name) + 1);
    else if (strcmp(watch->name, name) != 0)
        watch->name[0] = '\0';
    watch->events |= events;
    if (error) watch->error = error;
    async__arrived(watch->waiter, 0);
}

static void async__watch_on_event(uv_fs_event_t *handle, const char *name,
                                  int events, int status)
{
    async__watch_tell((async_fs_watch *)handle->data, name,
                      status < 0 ? 0 : events, status < 0 ? status : 0);
}
static void async__watch_on_poll(uv_fs_poll_t *handle, int status,
                                 const uv_stat_t *before, const uv_stat_t *now)
{
    (void)before;
    (void)now;
    async__watch_tell((async_fs_watch *)handle->data, NULL,
                      status < 0 ? 0 : (int)UV_CHANGE, status < 0 ? status : 0);
}

static void async__watch_close(async_node *node)
{
    async_fs_watch *watch = (async_fs_watch *)(void *)node;
    if (watch->resource.state != ASYNC__IS_OPEN) return;
    async__arrived(watch->waiter, ASYNC_ECLOSED);
    watch->waiter = NULL;
    async__resource_close(&watch->resource);
}

static int async__watch_check(const async_fs_watch *watch, const async *co)
{
    int error = async__uv_check(co);
    if (error) return error;
    return watch->resource.state == ASYNC__IS_SHUT ? 0 : (int)ASYNC_EBUSY;
}

/* Its handle has been initialised. */
static void async__watch_opened(async_fs_watch *watch, async_loop *loop)
{
    watch->waiter = NULL;
    watch->events = watch->error = 0;
    watch->name[0] = '\0';
    async__resource_opened(&watch->resource, loop, &watch->handle.any,
                           async__watch_close);
}

/* After an error, closing what there is of it has begun. */
static int async__watch_begin(struct async_fs_watch_open *self,
                              async_loop *loop)
{
    uv_fs_event_t *handle = &self->watch->handle.event;
    int error = uv_fs_event_init(async_uv_loop_of(loop), handle);
    if (error) return error;
    async__watch_opened(self->watch, loop);
    error = uv_fs_event_start(handle, async__watch_on_event, self->path,
                              self->flags);
    if (error) async__resource_close(&self->watch->resource);
    return error;
}
static int async__watch_begin_poll(struct async_fs_watch_poll *self,
                                   async_loop *loop)
{
    uv_fs_poll_t *handle = &self->watch->handle.poll;
    async_duration interval = self->interval / ASYNC_MS(1);
    int error = uv_fs_poll_init(async_uv_loop_of(loop), handle);
    if (error) return error;
    async__watch_opened(self->watch, loop);
    error = uv_fs_poll_start(handle, async__watch_on_poll, self->path,
                             interval < 1         ? 1
                             : interval > INT_MAX ? (unsigned)INT_MAX
                                                  : (unsigned)interval);
    if (error) async__resource_close(&self->watch->resource);
    return error;
}

#define ASYNC__WATCH_OPEN(name, begin)                                        \
    ASYNC(name)                                                               \
    {                                                                         \
        ASYNC_BEGIN(name);                                                    \
        self->error = async__watch_check(self->watch, co);                    \
        if (self->error) ASYNC_RAISE(self->error);                            \
        self->error = begin(self, async_loop_of(co));                         \
        if (self->error) {                                                    \
            ASYNC__AWAIT_CLOSED(&self->watch->resource, &self->closer);       \
            ASYNC_RAISE(self->error);                                         \
        }                                                                     \
        ASYNC_END;                                                            \
    }
ASYNC__WATCH_OPEN(async_fs_watch_open, async__watch_begin)
ASYNC__WATCH_OPEN(async_fs_watch_poll, async__watch_begin_poll)

ASYNC(async_fs_watch_wait)
{
    int error;
    ASYNC_BEGIN(async_fs_watch_wait);
    error = async__resource_check(&self->watch->resource, co);
    if (error) ASYNC_RAISE(error);
    if (self->watch->waiter != NULL) ASYNC_RAISE(ASYNC_EBUSY);
    if (self->watch->events == 0 && self->watch->error == 0)
        ASYNC__AWAIT_ARRIVAL(&self->watch->waiter, &self->arrival,
                             self->watch->resource.loop);
    error = self->watch->error;
    self->watch->error = 0;
    if (error) ASYNC_RAISE(error);
    self->frame.result = self->watch->events;
    self->watch->events = 0;
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

ASYNC(async_fs_watch_close)
{
    int error;
    ASYNC_BEGIN(async_fs_watch_close);
    if (self->watch->resource.state == ASYNC__IS_SHUT) ASYNC_RETURN();
    error = async__resource_check_task(&self->watch->resource, co);
    if (error) ASYNC_RAISE(error);
    async__watch_close(&self->watch->resource.node);
    ASYNC__AWAIT_CLOSED(&self->watch->resource, &self->closer);
    ASYNC_END;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
