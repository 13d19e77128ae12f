/* buffer.h - what is read whole, of any size
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     async_buffer text;                            in the frame, zeroed
 *     AWAIT(async_fs_read_file, "notes.txt", &self->text);
 *     fwrite(self->text.data, 1, self->text.size, stdout);
 *     async_buffer_free(&self->text);
 *
 * Threads: belongs to the loop's thread.
 */
#ifndef CAESURA_UV_BUFFER_H
#define CAESURA_UV_BUFFER_H

#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A struct of the caller's, zeroed.  Who fills it first frees what it had; an
 * await that fails or is cancelled leaves it empty; what one that succeeds has
 * put there is the caller's, who frees it before the loop is closed. */
typedef struct async_buffer {
    char *data; /* behind the last byte stands a '\0'; NULL when empty */
    size_t size;
    /* The rest is private. */
    size_t room; /* of data, without the '\0' */
    async_loop *loop;
} async_buffer;

/* Gives the memory back to the loop's allocator, and makes it empty. */
static inline void async_buffer_free(async_buffer *bytes);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
static inline void async_buffer_free(async_buffer *bytes)
{
    if (bytes->data != NULL)
        async__release(bytes->loop, bytes->data, bytes->room + 1);
    bytes->data = NULL;
    bytes->size = bytes->room = 0;
}

/* Makes room for more: for `room` bytes in all, if those are more than there
 * are, but at most `limit` (0: none).  Returns 0; UV_ENOBUFS when the limit is
 * reached; ASYNC_ENOMEM. */
int async__buffer_grow(async_buffer *bytes, async_loop *loop, size_t room,
                      size_t limit);

/* So many bytes have been put behind the last one. */
static inline void async__buffer_got(async_buffer *bytes, size_t size)
{
    bytes->size += size;
    bytes->data[bytes->size] = '\0';
}

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_UV_BUFFER_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_BUFFER_IMPLEMENTED)
#define CAESURA_UV_BUFFER_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

int async__buffer_grow(async_buffer *bytes, async_loop *loop, size_t room,
                      size_t limit)
{
    char *data;
    if (limit > 0 && room > limit) room = limit;
    if (room <= bytes->room && bytes->data != NULL)
        return room == limit ? (int)UV_ENOBUFS : 0;
    if (room + 1 == 0) return ASYNC_ENOMEM;
    data = (char *)async__allocate(loop, room + 1);
    if (data == NULL) return ASYNC_ENOMEM;
    if (bytes->size > 0) memcpy(data, bytes->data, bytes->size);
    data[bytes->size] = '\0';
    if (bytes->data != NULL)
        async__release(bytes->loop, bytes->data, bytes->room + 1);
    bytes->data = data;
    bytes->room = room;
    bytes->loop = loop;
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
