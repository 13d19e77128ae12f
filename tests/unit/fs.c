/* link: -luv */
/* Files: reading, writing, names, directories, watching; what goes wrong, and
 * what is given back when somebody is cancelled.
 *
 * libuv has one thread here, so that a request can be made to wait for another. */
#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE 700
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"
#include "../../async/uv/fs.h"

#include "uv.h"

#include <sys/stat.h>

/* --- helpers --------------------------------------------------------------- */

/* libuv's own memory, of which the allocation number `uv_refuse` fails. */
static int uv_refuse;
static void *uv_allocate(size_t size)
{
    return uv_refuse > 0 && --uv_refuse == 0 ? NULL : malloc(size);
}
static void *uv_resize(void *memory_, size_t size)
{
    return uv_refuse > 0 && --uv_refuse == 0 ? NULL : realloc(memory_, size);
}
static void *uv_allocate_zeroed(size_t count, size_t size)
{
    return uv_refuse > 0 && --uv_refuse == 0 ? NULL : calloc(count, size);
}

/* Each test has an empty directory, and is in it. */
static char home[] = "/tmp/caesura-fs-XXXXXX";
__attribute__((constructor)) static void prepare(void)
{
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    uv_replace_allocator(uv_allocate, uv_resize, uv_allocate_zeroed, free);
}
static void enter(void)
{
    memcpy(strrchr(home, '-') + 1, "XXXXXX", 6);
    assert_non_null(mkdtemp(home));
    assert_int_equal(chdir(home), 0);
}
static void leave(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", home);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(system(command), 0);
}
static void run_in_directory(async_object program)
{
    enter();
    run(program);
    leave();
}

/* Plain files. */
static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}
static const char *content(const char *path)
{
    static char text[128];
    FILE *file = fopen(path, "r");
    size_t n;
    if (file == NULL) return "(none)";
    n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    fclose(file);
    return text;
}
/* Holds libuv's thread until it is released. */
static int holding[2], held;
static uv_work_t hold_request;
static void hold_thread(uv_work_t *request)
{
    char byte;
    (void)request;
    while (read(holding[0], &byte, 1) < 0 && errno == EINTR) {}
}
static void thread_is_free(uv_work_t *request, int status)
{
    (void)request;
    (void)status;
    held = 0;
}
static void hold(async *co)
{
    assert_int_equal(pipe(holding), 0);
    held = 1;
    uv_queue_work(async_uv_loop_of(async_loop_of(co)), &hold_request,
                  hold_thread, thread_is_free);
}
static void let_go(void)
{
    assert_int_equal(write(holding[1], "x", 1), 1);
}
static void close_hold(void)
{
    close(holding[0]);
    close(holding[1]);
}

/* Goes on, without letting the loop know, when the thread has done all that it
 * was given before. */
static void tell_done(uv_work_t *request)
{
    (void)request;
    assert_int_equal(write(holding[1], "x", 1), 1);
}
static void catch_up(async *co)
{
    char byte;
    assert_int_equal(pipe(holding), 0);
    held = 1;
    uv_queue_work(async_uv_loop_of(async_loop_of(co)), &hold_request,
                  tell_done, thread_is_free);
    assert_int_equal(read(holding[0], &byte, 1), 1);
    close_hold();
}
struct until_free { ASYNC_FRAME; };
static ASYNC(until_free)
{
    ASYNC_BEGIN(until_free);
    while (held) AWAIT(async_sleep, ASYNC_US(100));
    ASYNC_END;
}

/* Awaits any of them, and says an error. */
#define SAY_ERROR(...)                                                        \
    do {                                                                      \
        AWAIT_CATCH(self->error, __VA_ARGS__);                                \
        say("%s", name_of(self->error));                                      \
    } while (0)

/* --- open files ------------------------------------------------------------ */

struct read_and_write {
    ASYNC_FRAME;
    int file, error;
    size_t n;
    uv_stat_t status;
    char text[64];
};
static ASYNC(read_and_write)
{
    ASYNC_BEGIN(read_and_write);
    umask(022);
    AWAIT_INTO(self->file, async_fs_open, "a", O_RDWR | O_CREAT | O_EXCL);
    AWAIT(async_fs_write, self->file, "hello, ", 7);
    AWAIT(async_fs_write, self->file, "world", 5);
    AWAIT(async_fs_write, self->file, "", 0);
    say("%s.", content("a"));
    AWAIT(async_fs_write_at, self->file, "J", 1, 0);
    AWAIT(async_fs_write_at, self->file, "!", 1, 12);
    AWAIT_INTO(self->n, async_fs_read_at, self->file, self->text, 5, 0);
    say("%.*s", (int)self->n, self->text);
    AWAIT_INTO(self->n, async_fs_read, self->file, self->text, 64);
    say("%.*s", (int)self->n, self->text); /* it stood behind "world" */
    AWAIT_INTO(self->n, async_fs_read, self->file, self->text, 64);
    say("%d", (int)self->n);
    AWAIT_INTO(self->n, async_fs_read_at, self->file, self->text, 64, 7);
    say("%.*s", (int)self->n, self->text);
    AWAIT(async_fs_fsync, self->file);
    AWAIT(async_fs_fdatasync, self->file);
    AWAIT(async_fs_ftruncate, self->file, 4);
    AWAIT(async_fs_fchmod, self->file, 0600);
    AWAIT(async_fs_futime, self->file, 1000000000, 1234567890);
    AWAIT_INTO(self->status, async_fs_fstat, self->file);
    say("%d %o %ld", (int)self->status.st_size,
        (unsigned)self->status.st_mode & 0777,
        (long)self->status.st_mtim.tv_sec);
    AWAIT(async_fs_close, self->file);
    SAY_ERROR(async_fs_close, self->file);
    SAY_ERROR(async_fs_read, self->file, self->text, 64);
    SAY_ERROR(async_fs_read, self->file, self->text, 0);
    SAY_ERROR(async_fs_open, "a", O_RDWR | O_CREAT | O_EXCL);
    SAY_ERROR(async_fs_open, "absent", O_RDONLY);
    AWAIT_INTO(self->file, async_fs_open, "a", O_WRONLY | O_APPEND);
    AWAIT(async_fs_write, self->file, "o", 1);
    SAY_ERROR(async_fs_read, self->file, self->text, 64);
    AWAIT(async_fs_close, self->file);
    say("%s", content("a"));
    AWAIT_INTO(self->file, async_fs_open, "b", O_WRONLY | O_CREAT, 0640);
    AWAIT(async_fs_close, self->file);
    AWAIT_INTO(self->file, async_fs_open, "c", O_WRONLY | O_CREAT);
    AWAIT(async_fs_close, self->file);
    AWAIT_INTO(self->status, async_fs_stat, "b");
    say("%o", (unsigned)self->status.st_mode & 0777);
    AWAIT_INTO(self->status, async_fs_stat, "c");
    say("%o", (unsigned)self->status.st_mode & 0777);
    ASYNC_END;
}

static void
files_are_read_and_written_where_they_stand_and_at_a_place(void **s)
{
    (void)s;
    run_in_directory(CO(read_and_write));
    assert_said("hello, world. Jello ! 0 world! 4 600 1234567890 EBADF EBADF "
                "ASYNC_EINVAL EEXIST ENOENT EBADF Jello 640 644");
}

static char large[300000];
struct write_too_much { ASYNC_FRAME; int file, error; uv_stat_t status; };
static ASYNC(write_too_much)
{
    struct rlimit limited, unlimited_size;
    ASYNC_BEGIN(write_too_much);
    AWAIT_INTO(self->file, async_fs_open, "a", O_WRONLY | O_CREAT);
    getrlimit(RLIMIT_FSIZE, &limited);
    limited.rlim_cur = 100000;
    setrlimit(RLIMIT_FSIZE, &limited);
    SAY_ERROR(async_fs_write, self->file, large, sizeof large);
    getrlimit(RLIMIT_FSIZE, &unlimited_size);
    unlimited_size.rlim_cur = unlimited_size.rlim_max;
    setrlimit(RLIMIT_FSIZE, &unlimited_size);
    AWAIT_INTO(self->status, async_fs_fstat, self->file);
    say("%d", (int)self->status.st_size);
    AWAIT(async_fs_write, self->file, large, sizeof large);
    AWAIT_INTO(self->status, async_fs_fstat, self->file);
    say("%d", (int)self->status.st_size);
    AWAIT(async_fs_close, self->file);
    if (access("/dev/full", W_OK) == 0) {
        AWAIT_INTO(self->file, async_fs_open, "/dev/full", O_WRONLY);
        SAY_ERROR(async_fs_write, self->file, "x", 1);
        AWAIT(async_fs_close, self->file);
    } else {
        say("ENOSPC");
    }
    ASYNC_END;
}

static void a_file_or_disk_that_is_full_is_an_error_and_no_signal(void **s)
{
    (void)s;
    signal(SIGXFSZ, SIG_DFL);
    run_in_directory(CO(write_too_much));
    assert_said("EFBIG 100000 400000 ENOSPC");
}

/* --- whole files ----------------------------------------------------------- */

struct say_file {
    ASYNC_FRAME;
    const char *path;
    size_t limit;
    async_buffer bytes;
    int error;
};
static ASYNC(say_file)
{
    ASYNC_BEGIN(say_file);
    ASYNC_TRY {
        AWAIT(async_fs_read_file, self->path, &self->bytes, self->limit);
        assert_int_equal(strlen(self->bytes.data), self->bytes.size);
        if (self->bytes.size < 20)
            say("<%s>", self->bytes.data);
        else
            say("%d", (int)self->bytes.size);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
        assert_null(self->bytes.data);
    } ASYNC_FINALLY {
        async_buffer_free(&self->bytes);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct read_files { ASYNC_FRAME; async_buffer bytes; int error; };
static ASYNC(read_files)
{
    ASYNC_BEGIN(read_files);
    put("a", "hello");
    put("empty", "");
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    put("large", large);
    AWAIT(say_file, "a");
    AWAIT(say_file, "empty");
    AWAIT(say_file, "large");
    AWAIT(say_file, "a", 5);
    AWAIT(say_file, "a", 4);
    AWAIT(say_file, "empty", 1);
    AWAIT(say_file, "large", 299999);
    AWAIT(say_file, "large", 299998);
    AWAIT(say_file, "absent");
    AWAIT(say_file, ".");
    /* of no known size: it says that it is empty */
    AWAIT(async_fs_read_file, "/proc/self/status", &self->bytes);
    say("%d", memcmp(self->bytes.data, "Name:", 5));
    SAY_ERROR(async_fs_read_file, "/proc/self/status", &self->bytes, 10);
    assert_null(self->bytes.data);
    ASYNC_END;
}

static void a_whole_file_is_read_up_to_a_limit(void **s)
{
    (void)s;
    run_in_directory(CO(read_files));
    assert_said("<hello> <> 299999 <hello> EFBIG <> 299999 EFBIG ENOENT "
                "EISDIR 0 EFBIG");
}

/* --- names and directories --------------------------------------------------- */

struct use_names {
    ASYNC_FRAME;
    uv_stat_t status;
    size_t n;
    int error;
    char text[128], directory[16];
};
static ASYNC(use_names)
{
    ASYNC_BEGIN(use_names);
    put("a", "text");
    AWAIT(async_fs_rename, "a", "b");
    AWAIT(async_fs_copyfile, "b", "c");
    SAY_ERROR(async_fs_copyfile, "b", "c", UV_FS_COPYFILE_EXCL);
    AWAIT(async_fs_link, "b", "d");
    AWAIT(async_fs_symlink, "b", "s");
    say("%s%s%s", content("a"), content("c"), content("d"));
    AWAIT_INTO(self->n, async_fs_readlink, "s", self->text, 2);
    say("%d%s", (int)self->n, self->text);
    SAY_ERROR(async_fs_readlink, "s", self->text, 1);
    AWAIT_INTO(self->n, async_fs_realpath, "s", self->text, 128);
    say("%d", strcmp(self->text + strlen(home), "/b"));
    assert_int_equal(self->n, strlen(self->text));
    SAY_ERROR(async_fs_realpath, "s", self->text, 5);
    AWAIT_INTO(self->status, async_fs_lstat, "s");
    say("%d", S_ISLNK(self->status.st_mode));
    AWAIT_INTO(self->status, async_fs_stat, "s");
    say("%d%d", S_ISREG(self->status.st_mode), (int)self->status.st_nlink);
    AWAIT(async_fs_unlink, "d");
    SAY_ERROR(async_fs_unlink, "d");
    SAY_ERROR(async_fs_stat, "d");
    AWAIT(async_fs_chmod, "b", 0400);
    AWAIT(async_fs_utime, "b", 1000000000, 1234567890.5);
    AWAIT_INTO(self->status, async_fs_stat, "b");
    say("%o %ld.%ld", (unsigned)self->status.st_mode & 0777,
        (long)self->status.st_mtim.tv_sec,
        (long)self->status.st_mtim.tv_nsec / 100000000);
    SAY_ERROR(async_fs_access, "b", R_OK);
    SAY_ERROR(async_fs_access, "b", X_OK);
    SAY_ERROR(async_fs_access, "d");
    AWAIT(async_fs_mkdir, "dir");
    SAY_ERROR(async_fs_mkdir, "dir");
    AWAIT_INTO(self->status, async_fs_stat, "dir");
    say("%o", (unsigned)self->status.st_mode & 0777);
    put("dir/x", "");
    SAY_ERROR(async_fs_rmdir, "dir");
    AWAIT(async_fs_unlink, "dir/x");
    AWAIT(async_fs_rmdir, "dir");
    strcpy(self->directory, "new-XXXXXX");
    AWAIT(async_fs_mkdtemp, self->directory);
    say("%d", strcmp(self->directory, "new-XXXXXX") != 0);
    AWAIT(async_fs_rmdir, self->directory);
    strcpy(self->directory, "new");
    SAY_ERROR(async_fs_mkdtemp, self->directory);
    ASYNC_END;
}

static void names_directories_modes_and_times_are_the_systems(void **s)
{
    (void)s;
    umask(022);
    run_in_directory(CO(use_names));
    assert_said("EEXIST (none)texttext 1b ENAMETOOLONG 0 ENAMETOOLONG 1 12 "
                "ENOENT ENOENT 400 1234567890.5 ok EACCES ENOENT EEXIST 755 "
                "ENOTEMPTY 1 ASYNC_EINVAL");
}

struct list {
    ASYNC_FRAME;
    struct async_fs_scandir entries;
    uv_dirent_t entry;
    int error;
};
static ASYNC(list)
{
    ASYNC_BEGIN(list);
    put("b", "");
    put("a", "");
    mkdir("c", 0777);
    self->entries = ASYNC_GENERATOR(async_fs_scandir, ".");
    ASYNC_FOR(self->entry, &self->entries) {
        say("%s%d", self->entry.name, self->entry.type == UV_DIRENT_DIR);
    } ASYNC_END_FOR
    self->entries = ASYNC_GENERATOR(async_fs_scandir, "c");
    ASYNC_FOR(self->entry, &self->entries) {
        say("nothing");
    } ASYNC_END_FOR
    self->entries = ASYNC_GENERATOR(async_fs_scandir, ".");
    ASYNC_FOR(self->entry, &self->entries) {
        break; /* frees the rest */
    } ASYNC_END_FOR
    self->entries = ASYNC_GENERATOR(async_fs_scandir, ".");
    AWAIT_NEXT(&self->entries);
    AWAIT_ACLOSE(&self->entries);
    self->entries = ASYNC_GENERATOR(async_fs_scandir, "absent");
    ASYNC_TRY {
        ASYNC_FOR(self->entry, &self->entries) {}
        ASYNC_END_FOR
    } ASYNC_EXCEPT_ANY(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_directory_is_iterated_in_the_order_of_its_names(void **s)
{
    (void)s;
    run_in_directory(CO(list));
    assert_said("a0 b0 c1 ENOENT");
}

/* --- cancelling ------------------------------------------------------------ */

static int opened;
struct open_it { ASYNC_FRAME; };
static ASYNC(open_it)
{
    ASYNC_BEGIN(open_it);
    AWAIT_INTO(opened, async_fs_open, "a", O_WRONLY | O_CREAT);
    ASYNC_END;
}
static char template_path[16];
static async_buffer read_whole;
struct scan {
    ASYNC_FRAME;
    struct async_fs_scandir entries;
    uv_dirent_t entry;
};
static ASYNC(scan)
{
    ASYNC_BEGIN(scan);
    self->entries = ASYNC_GENERATOR(async_fs_scandir, ".");
    ASYNC_FOR(self->entry, &self->entries) {}
    ASYNC_END_FOR
    ASYNC_END;
}

/* Each of them: not begun (the thread is held), and when it is done but nobody
 * has been told. */
struct cancel_each { ASYNC_FRAME; int i, begun, file; async_task *task; };
static ASYNC(cancel_each)
{
    ASYNC_BEGIN(cancel_each);
    for (self->begun = 0; self->begun < 2; self->begun++)
        for (self->i = 0; self->i < 6; self->i++) {
            put("b", "text");
            unlink("n");
            self->file = open("b", O_RDWR);
            strcpy(template_path, "new-XXXXXX");
            opened = -1;
            if (!self->begun) hold(co);
            self->task = async_create_task(
                self->i == 0   ? CO(open_it)
                : self->i == 1 ? CO(async_fs_rename, "b", "n")
                : self->i == 2 ? CO(async_fs_mkdtemp, template_path)
                : self->i == 3 ? CO(async_fs_close, self->file)
                : self->i == 4 ? CO(async_fs_read_file, "b", &read_whole)
                               : CO(scan));
            AWAIT(until_waiting, self->task);
            if (self->begun) catch_up(co);
            async_task_cancel(self->task);
            if (!self->begun) {
                if (self->i == 3) { /* it will be closed all the same */
                    AWAIT(async_sleep, ASYNC_MS(2));
                    assert_false(async_task_done(self->task));
                } else {
                    AWAIT(until_woken, self->task);
                }
                let_go();
            }
            AWAIT(say_end, self->task);
            AWAIT(until_free);
            if (!self->begun) {
                close_hold();
            }
            assert_int_equal(opened, -1);
            assert_null(read_whole.data);
            assert_string_equal(template_path, "new-XXXXXX");
            if (self->i == 1)
                assert_int_equal(access("n", F_OK), self->begun ? 0 : -1);
            if (self->i == 3)
                assert_int_equal(fcntl(self->file, F_GETFD), -1);
            else
                close(self->file);
        }
    unlink("a");
    unlink("b");
    unlink("n");
    ASYNC_END;
}

static void what_is_cancelled_is_taken_back_or_given_back(void **s)
{
    (void)s;
    enter();
    run(CO(cancel_each));
    assert_int_equal(rmdir(home), 0); /* with nothing in it */
    enter();
    leave();
    assert_said("ASYNC_ECANCELED ASYNC_ECANCELED ASYNC_ECANCELED "
                "ASYNC_ECANCELED ASYNC_ECANCELED ASYNC_ECANCELED "
                "ASYNC_ECANCELED ASYNC_ECANCELED ASYNC_ECANCELED "
                "ASYNC_ECANCELED ASYNC_ECANCELED ASYNC_ECANCELED");
}

/* Reading a whole file is cancelled at each of its requests. */
struct cancel_reading {
    ASYNC_FRAME;
    int requests, *over;
    async_task *task;
    int i;
};
static ASYNC(cancel_reading)
{
    ASYNC_BEGIN(cancel_reading);
    self->task = async_create_task(CO(async_fs_read_file, "b", &read_whole));
    for (self->i = 0; self->i < self->requests; self->i++) {
        AWAIT(until_woken, self->task);
        ASYNC_SUSPEND;
        if (async_task_done(self->task)) break;
    }
    *self->over = async_task_done(self->task);
    if (!*self->over) catch_up(co);
    async_task_cancel(self->task);
    AWAIT(say_end, self->task);
    AWAIT(until_free);
    async_buffer_free(&read_whole);
    ASYNC_END;
}

static void reading_a_whole_file_can_be_cancelled_at_any_time(void **s)
{
    int requests, over = 0;
    (void)s;
    enter();
    put("b", "text");
    for (requests = 1; !over; requests++) {
        run(CO(cancel_reading, requests, &over));
        assert_said(over ? "ok" : "ASYNC_ECANCELED");
    }
    assert_true(requests >= 6); /* open, stat, read, read, close */
    leave();
}

/* A request that hangs: the cancelled one waits for it, and gives it back. */
struct cancel_fifo { ASYNC_FRAME; async_task *task; int writer; };
static ASYNC(cancel_fifo)
{
    ASYNC_BEGIN(cancel_fifo);
    mkfifo("fifo", 0600);
    self->task = async_create_task(CO(async_fs_open, "fifo", O_RDONLY));
    AWAIT(until_waiting, self->task);
    AWAIT(async_sleep, ASYNC_MS(50)); /* the thread has begun */
    async_task_cancel(self->task);
    AWAIT(async_sleep, ASYNC_MS(5));
    say("%d", async_task_done(self->task));
    self->writer = open("fifo", O_RDWR);
    AWAIT(say_end, self->task);
    close(self->writer);
    ASYNC_END;
}

static void a_request_that_has_begun_is_waited_for(void **s)
{
    (void)s;
    run_in_directory(CO(cancel_fifo));
    assert_said("0 ASYNC_ECANCELED");
}

/* --- what goes wrong --------------------------------------------------------- */

struct read_large { ASYNC_FRAME; async_buffer bytes; int error; };
static ASYNC(read_large)
{
    ASYNC_BEGIN(read_large);
    ASYNC_TRY {
        AWAIT(async_fs_read_file, "b", &self->bytes);
        assert_int_equal(self->bytes.size, sizeof large - 1);
    } ASYNC_EXCEPT_ALL(self->error) {
        assert_null(self->bytes.data);
    } ASYNC_END_TRY
    async_buffer_free(&self->bytes);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_END;
}

static void without_memory_it_is_an_error_and_leaves_nothing(void **s)
{
    long at;
    int error = -1;
    (void)s;
    enter();
    large[sizeof large - 1] = '\0';
    memset(large, 'x', sizeof large - 1);
    put("b", large);
    for (at = 0; error != 0; at++) {
        error = run_refusing(CO(read_large), at, 1);
        assert_true(error == 0 || error == ASYNC_ENOMEM);
        assert_int_equal(memory.refused, error != 0);
    }
    assert_true(at > 2);
    leave();
}

struct refuse_uv {
    ASYNC_FRAME;
    async_buffer bytes;
    int error, file;
    char path[16];
};
static ASYNC(refuse_uv)
{
    ASYNC_BEGIN(refuse_uv);
    put("b", "text");
    uv_refuse = 1;
    SAY_ERROR(async_fs_open, "b", O_RDONLY);
    uv_refuse = 1;
    SAY_ERROR(async_fs_read_file, "b", &self->bytes);
    uv_refuse = 1;
    SAY_ERROR(async_fs_rename, "b", "c");
    strcpy(self->path, "new-XXXXXX");
    uv_refuse = 1;
    SAY_ERROR(async_fs_mkdtemp, self->path);
    uv_refuse = 0;
    SAY_ERROR(async_fs_unlink, "b");
    ASYNC_END;
}

static void so_it_is_without_memory_for_libuv(void **s)
{
    (void)s;
    run_in_directory(CO(refuse_uv));
    assert_said("ASYNC_ENOMEM ASYNC_ENOMEM ASYNC_ENOMEM ASYNC_ENOMEM ok");
}

struct without_descriptors { ASYNC_FRAME; async_buffer bytes; int error; };
static ASYNC(without_descriptors)
{
    ASYNC_BEGIN(without_descriptors);
    put("b", "text");
    limit_descriptors(0);
    SAY_ERROR(async_fs_open, "b", O_RDONLY);
    SAY_ERROR(async_fs_read_file, "b", &self->bytes);
    unlimit_descriptors();
    ASYNC_END;
}

static void without_descriptors_opening_is_an_error(void **s)
{
    (void)s;
    run_in_directory(CO(without_descriptors));
    assert_said("EMFILE EMFILE");
}

static async_fs_watch standing;
struct open_standing { ASYNC_FRAME; };
static ASYNC(open_standing)
{
    ASYNC_BEGIN(open_standing);
    AWAIT(async_fs_watch_open, &standing, ".");
    ASYNC_END;
}
struct by_hand { ASYNC_FRAME; };
static ASYNC(by_hand)
{
    async one;
    int error, i;
    ASYNC_BEGIN(by_hand);
    AWAIT(open_standing);
    for (i = 0; i < 5; i++) {
        async_new(&one, NULL,
                  i == 0   ? CO(async_fs_stat, ".")
                  : i == 1 ? CO(async_fs_read_file, "b", &read_whole)
                  : i == 2 ? CO(async_fs_watch_open, &standing, ".")
                  : i == 3 ? CO(async_fs_watch_wait, &standing)
                           : CO(async_fs_watch_close, &standing));
        error = async_send(&one);
        say("%s", name_of(error));
        async_close(&one);
    }
    AWAIT(async_fs_watch_close, &standing);
    ASYNC_END;
}

static void files_need_a_task_on_a_loop_of_libuv(void **s)
{
    (void)s;
    run_in_directory(CO(by_hand));
    assert_said("ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK "
                "ASYNC_ENOTASK");
    assert_int_equal(async_virtual_run(CO(async_fs_stat, ".")), ASYNC_EINVAL);
    assert_int_equal(async_virtual_run(CO(open_standing)), ASYNC_EINVAL);
}

/* A loop that is closed while a request is under way, and with a watch. */
struct stat_for_ever { ASYNC_FRAME; uv_stat_t status; };
static ASYNC(stat_for_ever)
{
    ASYNC_BEGIN(stat_for_ever);
    for (;;) AWAIT_INTO(self->status, async_fs_stat, ".");
    ASYNC_END;
}

static void a_loop_is_closed_with_requests_and_watches(void **s)
{
    async_uv_loop loop;
    uv_loop_t host;
    int borrowed;
    (void)s;
    for (borrowed = 0; borrowed < 2; borrowed++) {
        uv_loop_init(&host);
        async_uv_loop_init(&loop, borrowed ? &host : NULL, NULL);
        async_loop_set_exception_handler(&loop.base, say_report, NULL);
        async_task_release(
            async_loop_create_task(&loop.base, CO(stat_for_ever)));
        async_loop_run_until_complete(&loop.base, CO(open_standing));
        async_loop_run_until_complete(&loop.base,
                                      CO(async_sleep, ASYNC_MS(2)));
        async_loop_close(&loop.base);
        memset(&loop, 0xa5, sizeof loop);
        assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
        assert_int_equal(uv_loop_close(&host), 0);
        assert_said("[Task was destroyed but it is pending!]");
    }
}

/* --- watching -------------------------------------------------------------- */

struct say_watch { ASYNC_FRAME; async_fs_watch *watch; int events, error; };
static ASYNC(say_watch)
{
    ASYNC_BEGIN(say_watch);
    ASYNC_TRY {
        AWAIT_INTO(self->events, async_fs_watch_wait, self->watch);
        say("%s%s<%s>", self->events & UV_RENAME ? "R" : "",
            self->events & UV_CHANGE ? "C" : "",
            async_fs_watch_name(self->watch));
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}
struct watch {
    ASYNC_FRAME;
    async_fs_watch watch;
    async_task *task;
    int error;
};
static ASYNC(watch)
{
    ASYNC_BEGIN(watch);
    AWAIT(async_fs_watch_open, &self->watch, ".");
    SAY_ERROR(async_fs_watch_open, &self->watch, ".");
    self->task = async_create_task(CO(say_watch, &self->watch));
    AWAIT(until_waiting, self->task);
    mkdir("a", 0777);
    AWAIT_JOIN(self->task);
    /* while nobody waits: one of its own, then two together */
    rmdir("a");
    AWAIT(async_sleep, ASYNC_MS(5));
    AWAIT(say_watch, &self->watch);
    mkdir("b", 0777);
    mkdir("c", 0777);
    AWAIT(async_sleep, ASYNC_MS(5));
    AWAIT(say_watch, &self->watch);
    /* a wait that is cancelled, before and after it has come */
    self->task = async_create_task(CO(say_watch, &self->watch));
    AWAIT(until_waiting, self->task);
    SAY_ERROR(async_fs_watch_wait, &self->watch);
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    self->task = async_create_task(CO(say_watch, &self->watch));
    AWAIT(until_waiting, self->task);
    rmdir("b");
    AWAIT(until_woken, self->task);
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    AWAIT(say_watch, &self->watch);
    /* closing tells */
    self->task = async_create_task(CO(say_watch, &self->watch));
    AWAIT(until_waiting, self->task);
    AWAIT(async_fs_watch_close, &self->watch);
    AWAIT_JOIN(self->task);
    AWAIT(async_fs_watch_close, &self->watch);
    AWAIT(say_watch, &self->watch);
    SAY_ERROR(async_fs_watch_open, &self->watch, "absent");
    /* a file */
    put("f", "");
    AWAIT(async_fs_watch_open, &self->watch, "f");
    put("f", "text");
    AWAIT(say_watch, &self->watch);
    AWAIT(async_fs_watch_close, &self->watch);
    ASYNC_END;
}

static void a_watch_loses_nothing_between_two_waits(void **s)
{
    (void)s;
    run_in_directory(CO(watch));
    assert_said(
        "ASYNC_EBUSY R<a> R<a> R<> ASYNC_EBUSY ASYNC_ECANCELED "
        "ASYNC_ECANCELED R<b> ASYNC_ECLOSED ASYNC_ECLOSED ENOENT C<f>");
}

struct poll_it {
    ASYNC_FRAME;
    async_fs_watch watch;
    async_task *task;
    int error;
};
static ASYNC(poll_it)
{
    ASYNC_BEGIN(poll_it);
    put("a", "");
    AWAIT(async_fs_watch_poll, &self->watch, "a", ASYNC_MS(2));
    catch_up(co); /* it has had its first look */
    AWAIT(until_free);
    put("a", "longer");
    AWAIT(say_watch, &self->watch);
    unlink("a");
    AWAIT(say_watch, &self->watch);
    put("a", "again");
    AWAIT(say_watch, &self->watch);
    AWAIT(async_fs_watch_close, &self->watch);
    AWAIT(async_fs_watch_poll, &self->watch, "absent", 0);
    AWAIT(say_watch, &self->watch);
    AWAIT(async_fs_watch_close, &self->watch);
    ASYNC_END;
}

static void a_watch_that_polls_tells_when_its_file_goes_and_comes(void **s)
{
    (void)s;
    run_in_directory(CO(poll_it));
    assert_said("C<> ENOENT C<> ENOENT");
}

UNIT_MAIN(TEST(files_are_read_and_written_where_they_stand_and_at_a_place),
          TEST(a_file_or_disk_that_is_full_is_an_error_and_no_signal),
          TEST(a_whole_file_is_read_up_to_a_limit),
          TEST(names_directories_modes_and_times_are_the_systems),
          TEST(a_directory_is_iterated_in_the_order_of_its_names),
          TEST(what_is_cancelled_is_taken_back_or_given_back),
          TEST(reading_a_whole_file_can_be_cancelled_at_any_time),
          TEST(a_request_that_has_begun_is_waited_for),
          TEST(without_memory_it_is_an_error_and_leaves_nothing),
          TEST(so_it_is_without_memory_for_libuv),
          TEST(without_descriptors_opening_is_an_error),
          TEST(files_need_a_task_on_a_loop_of_libuv),
          TEST(a_loop_is_closed_with_requests_and_watches),
          TEST(a_watch_loses_nothing_between_two_waits),
          TEST(a_watch_that_polls_tells_when_its_file_goes_and_comes))
