# Sourced by run and sizes: how an image is built for each target, and run.
# shellcheck shell=sh disable=SC2034,SC2086,SC2154

warnings="-Wall -Wextra -pedantic -Wshadow -Werror"
flags_of_all=-DASYNC_STATIC_ONLY

# for_target TARGET: how its images are compiled and linked, and what is the board
#   cc      the compiler, for that part
#   small   what makes its code small; empty on a PC
#   link    what the linker is told before the files, and
#   after   behind them
for_target() {
    small="-Os -ffunction-sections -fdata-sections"
    link=-Wl,--gc-sections
    after=-lgcc
    freestanding="-ffreestanding -fno-tree-loop-distribute-patterns"
    case $1 in
    host)
        cc="gcc -std=c99 -g -O1 $warnings -fsanitize=address,undefined
            -fno-sanitize-recover=undefined"
        small='' link='' after=''
        board=host ;;
    atmega*)
        cc="avr-gcc -mmcu=$1 -DF_CPU=16000000UL -std=c99 $warnings
            -mcall-prologues -mrelax"
        board=atmega328p ;;
    cortex-m*)
        cc="arm-none-eabi-gcc -mcpu=$1 -mthumb -std=c99 $warnings $freestanding"
        link="$link -nostdlib -T examples/firmware/boards/cortex_m.ld"
        board=cortex_m ;;
    rv32imac) # as of 2.2 its base has the CSRs: with _zicsr gcc takes a 64-bit libgcc
        cc="riscv64-unknown-elf-gcc -march=rv32imac -misa-spec=2.2 -mabi=ilp32
            -mcmodel=medany -std=c99 $warnings $freestanding"
        link="$link -nostdlib -T examples/firmware/boards/riscv.ld"
        board=riscv ;;
    esac
}

# A sketch, as Arduino builds it for an Uno: a copy of its folder, the .ino as
# C++ behind Arduino.h, with the core and the library found by -I.  A C file is C
# there, as it stands; and for arduino-c++ that is C++11, too.
arduino=/usr/share/arduino/hardware/arduino/avr
for_uno="-mmcu=atmega328p -DF_CPU=16000000L -DARDUINO=10819 -DARDUINO_AVR_UNO
    -DARDUINO_ARCH_AVR -Os -ffunction-sections -fdata-sections -flto"
cxx11="-std=gnu++11 -fno-exceptions -fno-threadsafe-statics"
compile_sketch() { # TARGET OUTPUT SOURCE: the C file, or the .ino if there is none
    target=$1
    output=$2
    shift 2
    sketch=$(basename "${1%.*}")
    folder=$output.sketch
    core=$build/arduino
    rm -rf "$folder"
    cp -R "$(dirname "$1")" "$folder"
    set -- $for_uno $warnings -I"$arduino/cores/arduino" \
        -I"$arduino/variants/standard" -I. -c
    if [ -e "$folder/$sketch.c" ]; then
        case $target in
        arduino) avr-gcc -std=gnu11 "$@" -o "$folder/c.o" "$folder/$sketch.c" ;;
        *) avr-g++ $cxx11 "$@" -Wno-shadow -x c++ -o "$folder/c.o" "$folder/$sketch.c" ;;
        esac || return 1
    fi
    avr-g++ $cxx11 "$@" -Wno-shadow -include Arduino.h -x c++ -o "$folder/ino.o" \
        "$folder/$sketch.ino" &&
        avr-gcc -mmcu=atmega328p -Os -flto -fuse-linker-plugin -Wl,--gc-sections \
            -o "$output" "$folder"/*.o "$core/libcore.a" -lm
}
compile_arduino_core() { # once, before the sketches
    core=$build/arduino
    mkdir -p "$core"
    for part in "$arduino"/cores/arduino/*.c "$arduino"/cores/arduino/*.cpp; do
        case $part in *.c) compiler="avr-gcc -std=gnu11" ;; *) compiler="avr-g++ $cxx11" ;; esac
        # avr-libc's float.h has no DECIMAL_DIG in C++
        $compiler $for_uno -w -DDECIMAL_DIG=__DECIMAL_DIG__ -I"$arduino/cores/arduino" \
            -I"$arduino/variants/standard" -c -o "$core/$(basename "$part").o" "$part" || return 1
    done
    avr-gcc-ar rcs "$core/libcore.a" "$core"/*.o
}

# Where that machine has its memory, if that is not where most have it.
memory() {
    if [ "$1" = cortex-m33 ]; then
        echo "-Wl,--defsym=flash_at=0x10000000 -Wl,--defsym=ram_at=0x38000000"
    fi
}

# compile TARGET OUTPUT SOURCE...
# Where there are events, $events, boards/played.c plays them, but in simavr.
compile() {
    target=$1
    for_target "$target"
    [ -z "$small" ] || small="$small ${LTO--flto}"
    link="$link $(memory "$1")"
    output=$2
    shift 2
    # what the image asks for in its first lines: /* flags: ... */
    flags="$flags_of_all $(sed -n 's|^/\* flags: \(.*\) \*/$|\1|p' "$1")"
    case $target in arduino*) compile_sketch "$target" "$output" "$@"; return ;; esac
    if [ -n "${events:-}" ] && [ $board != atmega328p ]; then
        flags="$flags -DBOARD_TICK_HOOK"
        set -- "$@" examples/firmware/boards/played.c "-DBOARD_EVENTS=\"$events\""
    fi
    $cc $small $flags -I. $link -o "$output" "$@" \
        examples/firmware/boards/$board.c $after
}

# The machine that QEMU has for a processor.
machine() {
    case $1 in
    cortex-m0) echo microbit ;;
    cortex-m3) echo lm3s6965evb ;;
    cortex-m4) echo netduinoplus2 ;;
    cortex-m33) echo mps2-an505 ;;
    esac
}

# simulator NAME SOURCE: $build/NAME, a program on libsimavr
simulator() {
    gcc -std=gnu99 -O2 -Wall -Wextra -o "$build/$1" "tests/firmware/$2" -lsimavr -lelf
}

# probe VARIANT OUTPUT: wake/image.c in that variant, made to OUTPUT and watched by
# wake/probe.c.  The last two are wrong, and lose wakes.
probes="flag deadline heap heap_deadline clock"
wrong_probes="late_sleep decides_with_interrupts_on"
probe() (
    by=flag
    heap="-UASYNC_STATIC_ONLY -DASYNC_FREESTANDING"
    case $1 in
    flag) variant='' ;;
    deadline) variant=-DWITH_DEADLINE ;;
    heap) variant=$heap ;;
    heap_deadline) variant="$heap -DWITH_DEADLINE" ;;
    clock) variant=-DBY_CLOCK by=clock ;;
    late_sleep) variant=-DLATE_SLEEP ;;
    decides_with_interrupts_on)
        variant="-DASYNC_CRITICAL_ENTER={ -DASYNC_CRITICAL_EXIT=}" ;;
    *) exit 125 ;;
    esac
    flags_of_all="$flags_of_all $variant"
    compile atmega328p "$2" tests/firmware/wake/image.c &&
        timeout 60 "$build/wake-probe" atmega328p "$2" "$by"
)

# ten_seconds IMAGE: how much of them it sleeps, in percent, and its stack in bytes
ten_seconds() {
    timeout 60 "$build/simavr-run" atmega328p "$1" 10000 2>&1 |
        sed -n 's/^time is over; .* cycles, \(.*\) % asleep, stack \(.*\) bytes$/\1 \2/p'
}
share_asleep() {
    ten_seconds "$1" | cut -d ' ' -f 1
}

# run_image TARGET IMAGE: its output, and its exit status.  AVR: `simulator
# simavr-run simavr.c` before.
run_image() {
    case $1 in
    host) timeout 20 "$2" ;;
    atmega*) timeout 60 "$build/simavr-run" "$1" "$2" 20000 ${events:-} 2>"$2.cycles" ;;
    arduino*) timeout 60 "$build/simavr-run" atmega328p "$2" 20000 ${events:-} 2>"$2.cycles" ;;
    cortex-m*)
        timeout 60 qemu-system-arm -M "$(machine "$1")" -nographic -monitor none \
            -serial null -chardev stdio,id=s \
            -semihosting-config enable=on,target=native,chardev=s \
            -icount shift=6,sleep=off -kernel "$2" </dev/null ;;
    rv32imac)
        timeout 60 qemu-system-riscv32 -M virt -bios none -nographic -monitor none \
            -serial stdio -icount shift=6,sleep=off -kernel "$2" </dev/null ;;
    esac
}

targets="host atmega328p cortex-m0 cortex-m3 cortex-m4 cortex-m33 rv32imac"
sketches="arduino arduino-c++" # the examples that have a .ino
