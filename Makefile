# Caesura: asyncio for C.  `make help` lists what can be made.

CC ?= cc
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
export CC BUILD

WARNINGS = -Wall -Wextra -pedantic -Wshadow
# asked for when a recipe runs: `make deps` may have installed libuv by then
UV = $$(pkg-config --cflags --libs libuv 2>/dev/null || echo -luv)

# for what includes async/net; empty where it is not installed
CURL := $(shell pkg-config --cflags --libs libcurl 2>/dev/null)
HIREDIS := $(shell pkg-config --libs hiredis 2>/dev/null)
LIBPQ := $(shell pkg-config --cflags --libs libpq 2>/dev/null)

# llhttp: a library, or the sources of Debian's node-llhttp, without warnings
LLHTTP := $(shell pkg-config --cflags --libs libllhttp 2>/dev/null)
ifeq ($(LLHTTP)$(wildcard /usr/share/llhttp/llhttp.c),/usr/share/llhttp/llhttp.c)
LLHTTP_SOURCES := $(wildcard /usr/share/llhttp/*.c)
LLHTTP_FLAGS := -DLLHTTP_STRICT_MODE=1 -isystem /usr/share/include/llhttp
LLHTTP_OBJECTS := $(LLHTTP_SOURCES:/usr/share/llhttp/%.c=$(BUILD)/llhttp/%.o)
LLHTTP := $(LLHTTP_FLAGS) $(LLHTTP_OBJECTS)
endif

VERSION := $(shell sed -n 's/^\#define CAESURA_VERSION "\(.*\)"/\1/p' async.h)
HEADERS := $(wildcard *.h) $(shell find async -name '*.h' | sort)
EXAMPLES := $(filter-out $(if $(CURL),,fetch_all proxy crawler) \
    $(if $(LLHTTP),,http_server proxy crawler) \
    $(if $(HIREDIS),,redis_counter) $(if $(LIBPQ),,postgres_query), \
    $(basename $(notdir $(wildcard examples/*.c)))) two_files
BIN = $(BUILD)/examples
# an example of what needs more than libuv, where that is installed
ifneq ($(shell printf '%sinclude <openssl/ssl.h>\n' '\#' | $(CC) -E -x c - >/dev/null 2>&1 && echo yes),yes)
EXAMPLES := $(filter-out tls_echo,$(EXAMPLES))
endif
$(BIN)/tls_echo: LIBRARIES = -lssl -lcrypto

.PHONY: help run test test-all conformance fuzz fuzz-asyncio deps examples bench bench-quick \
        bench-one bench-core bench-counts bench-deps \
        firmware-test firmware-sizes ports-test io-stress lint format install uninstall \
        clean

help:
	@echo 'make run           build the examples and run the tour'
	@echo 'make test          all tests; make test T=name runs those of that name'
	@echo 'make test-all      the same with more compilers, loops and valgrind; half an hour'
	@echo 'make conformance   only the comparison with CPython'"'"'s traces'
	@echo 'make fuzz-asyncio  random programs on CPython and on Caesura, compared;'
	@echo '                   SEED=1 N=10000; OOM=1: Caesura alone, without memory'
	@echo 'make fuzz          T=http_server SECONDS=300: bytes at random for what reads'
	@echo '                   from the network, with libFuzzer'
	@echo 'make io-stress     connections by the thousand and at random, every byte'
	@echo '                   compared, five minutes: SEED=1 SECONDS=300'
	@echo 'make examples      build the examples, into $(BIN)'
	@echo 'make bench         all benchmarks, into docs/benchmarks.md; an hour or two'
	@echo 'make bench-quick   a look at them; a quarter of an hour'
	@echo 'make bench-one     W=switch,echo: these workloads; P=tokio,go: these peers'
	@echo 'make bench-deps    install what peers need'
	@echo 'make bench-counts  count instructions anew, into bench/counts'
	@echo 'make bench-core    what a switch, a spawn, a call cost, beside C++20'
	@echo 'make firmware-test builds the firmware images and runs them in emulators'
	@echo 'make ports-test    32 bits, big-endian, Windows, wasm, musl, SDCC; half an hour'
	@echo 'make firmware-sizes what the firmware examples cost: docs/firmware.md'
	@echo 'make lint          formatting, shell scripts, further warnings'
	@echo 'make format        format the C code'
	@echo 'make deps          install what is missing (run and test do so first)'
	@echo 'make install       headers, pkg-config and CMake files, tools; PREFIX, DESTDIR'
	@echo 'make clean'
	@echo
	@echo 'CC=clang, CFLAGS=... as usual.'

run:
	@packaging/deps run
	@$(MAKE) --no-print-directory -j "$$(getconf _NPROCESSORS_ONLN)" examples
	@examples/tour $(BIN)

examples: $(EXAMPLES:%=$(BIN)/%) $(BIN)/uart_shell

$(BIN)/two_files: $(wildcard examples/two_files/*.[ch]) $(HEADERS)
	@mkdir -p $(@D)
	$(CC) -std=c99 $(WARNINGS) $(CFLAGS) -o $@ $(filter %.c,$^) $(UV)

# firmware, with the terminal for its UART
SHELL_SOURCES = examples/firmware/uart_shell/uart_shell.c \
                examples/firmware/boards/terminal.c
$(BIN)/uart_shell: $(SHELL_SOURCES) $(wildcard examples/firmware/*.h) $(HEADERS)
	@mkdir -p $(@D)
	$(CC) -std=c99 $(WARNINGS) $(CFLAGS) -DASYNC_STATIC_ONLY -DBOARD_UART_HOOK \
	    -I. -o $@ $(SHELL_SOURCES)

$(BUILD)/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	$(CC) -O2 -w $(LLHTTP_FLAGS) -c -o $@ $<

$(BIN)/fetch_all: LIBRARIES = $(CURL)
$(BIN)/http_server: LIBRARIES = $(LLHTTP)
$(BIN)/proxy $(BIN)/crawler: LIBRARIES = $(LLHTTP) $(CURL)
$(BIN)/http_server $(BIN)/proxy $(BIN)/crawler: $(LLHTTP_OBJECTS)
$(BIN)/redis_counter: LIBRARIES = $(HIREDIS)
$(BIN)/postgres_query: LIBRARIES = $(LIBPQ)
$(BIN)/%: examples/%.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) -std=c99 $(WARNINGS) $(CFLAGS) -o $@ $< $(UV) $(LIBRARIES)

test:
	@packaging/deps test
	@tests/run $(T)

test-all:
	@packaging/deps test
	@tests/run --all

conformance:
	@packaging/deps test
	@tests/run conformance/

# Programs of the seeds SEED, SEED + 1, ...: tests/fuzz/README.md.
SEED ?= 1
N ?= 10000
fuzz-asyncio:
	@packaging/deps test
	@WORK='$(BUILD)/fuzz' CC=gcc tests/fuzz/run --seed $(SEED) --count $(N) \
	    $(if $(OOM),--memory)

# tests/fuzz/README.md: what reads from the network, with libFuzzer.
SECONDS ?= 300
fuzz:
	@packaging/deps test
	@WORK='$(BUILD)/fuzz-$(T)' SECONDS='$(SECONDS)' tests/fuzz/network '$(T)'

# tests/io/README.md
SECONDS ?= 300
io-stress:
	@packaging/deps test
	@mkdir -p '$(BUILD)/io-stress'
	@CC=gcc WORK='$(BUILD)/io-stress' STRESS_SEED=$(SEED) \
	    STRESS_SECONDS=$(SECONDS) sh tests/scripts/io_stress

deps:
	@packaging/deps test

# W, P: `bench/run --list` has the names.
bench:
	@packaging/deps test
	@bench/run --publish

bench-quick:
	@packaging/deps test
	@bench/run --quick

bench-one:
	@packaging/deps test
	@bench/run --quick --only '$(W)' --peers '$(P)'

bench-deps:
	@packaging/deps bench

# For the compiler with which the tests compare them.
bench-counts:
	@packaging/deps test
	@CC=gcc bench/instructions --write

bench-core:
	@packaging/deps test
	@bench/core/run

firmware-test:
	@packaging/deps firmware
	@tests/firmware/run $(T)
	@tests/firmware/sizes --check

ports-test:
	@packaging/deps ports
	@tests/ports/run $(T)

firmware-sizes:
	@packaging/deps firmware
	@tests/firmware/sizes --write

lint:
	@packaging/deps lint
	@packaging/lint

format:
	@packaging/deps lint
	@packaging/lint --fix

$(BUILD)/caesura-ps: tools/caesura-ps.c
	@mkdir -p $(@D)
	$(CC) -std=c99 $(WARNINGS) $(CFLAGS) -o $@ $<

install: $(BUILD)/caesura-ps
	install -d '$(DESTDIR)$(PREFIX)/include/caesura' '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 '$(BUILD)/caesura-ps' tools/caesura-lint \
	    '$(DESTDIR)$(PREFIX)/bin/'
	for header in $(HEADERS); do \
	    install -D -m 644 "$$header" \
	        "$(DESTDIR)$(PREFIX)/include/caesura/$$header" || exit 1; \
	done
	install -m 644 async/debug/caesura-gdb.py \
	    '$(DESTDIR)$(PREFIX)/include/caesura/async/debug/'
	install -d '$(DESTDIR)$(PREFIX)/lib/pkgconfig' \
	           '$(DESTDIR)$(PREFIX)/lib/cmake/caesura'
	for file in caesura.pc caesura-uv.pc; do \
	    sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
	        packaging/$$file.in >'$(DESTDIR)$(PREFIX)/lib/pkgconfig/'$$file; \
	done
	install -m 644 packaging/caesura-config.cmake \
	    '$(DESTDIR)$(PREFIX)/lib/cmake/caesura/'
	sed -e 's|@VERSION@|$(VERSION)|' packaging/caesura-config-version.cmake.in \
	    >'$(DESTDIR)$(PREFIX)/lib/cmake/caesura/caesura-config-version.cmake'

uninstall:
	rm -rf '$(DESTDIR)$(PREFIX)/include/caesura' \
	       '$(DESTDIR)$(PREFIX)/bin/caesura-ps' \
	       '$(DESTDIR)$(PREFIX)/bin/caesura-lint' \
	       '$(DESTDIR)$(PREFIX)/lib/cmake/caesura' \
	       '$(DESTDIR)$(PREFIX)/lib/pkgconfig/caesura.pc' \
	       '$(DESTDIR)$(PREFIX)/lib/pkgconfig/caesura-uv.pc'

clean:
	rm -rf '$(BUILD)'
