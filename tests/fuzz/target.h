/* What all targets need.  A target is libFuzzer's; with -DREPLAY it is a program
 * that runs the files which are named to it, a corpus, where there is no
 * libFuzzer. */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../future.h"

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                          \
        }                                                                     \
    } while (0)

/* Memory that is counted, and is never what it was before. */
static long live;
static inline void *counted_allocate(void *context, size_t size)
{
    void *memory = malloc(size);
    (void)context;
    if (memory != NULL) {
        live++;
        memset(memory, 0xa5, size);
    }
    return memory;
}
static inline void counted_release(void *context, void *memory, size_t size)
{
    (void)context;
    memset(memory, 0xdd, size);
    live--;
    free(memory);
}
static const async_allocator counted = { counted_allocate, counted_release,
                                         NULL };

/* An exception handler that is silent: errors are what is looked for. */
static inline int no_report(async_loop *loop,
                            const async_exception_context *context,
                            void *argument)
{
    (void)loop, (void)context, (void)argument;
    return 0;
}

/* What is left of the fuzzer's bytes. */
static const uint8_t *input;
static size_t input_size;
static inline unsigned next_byte(void)
{
    if (input_size == 0) return 0;
    input_size--;
    return *input++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef REPLAY
int main(int argc, char **argv)
{
    int i;
    for (i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        uint8_t *data = (uint8_t *)malloc(1 << 20), *copy;
        size_t size;
        if (file == NULL || data == NULL) return 1;
        size = fread(data, 1, 1 << 20, file);
        fclose(file);
        /* exactly as large, so that reading beyond it is seen */
        copy = (uint8_t *)malloc(size > 0 ? size : 1);
        if (copy == NULL) return 1;
        for (size_t at = 0; at < size; at++) copy[at] = data[at];
        free(data);
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
#endif

#endif
