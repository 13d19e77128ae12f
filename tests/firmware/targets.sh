# Sourced by run and sizes: how an image is built for each target, and run.
# shellcheck shell=sh disable=SC2086

warnings="-Wall -Wextra -pedantic -Wshadow -Werror"
small="-Os -ffunction-sections -fdata-sections -Wl,--gc-sections -flto"
flags_of_all=-DASYNC_STATIC_ONLY

# compile TARGET OUTPUT SOURCE...
# Where there are events, $events, boards/played.c plays them, but in simavr.
compile() {
    target=$1
    output=$2
    shift 2
    # what the image asks for in its first lines: /* flags: ... */
    flags="$flags_of_all $(sed -n 's|^/\* flags: \(.*\) \*/$|\1|p' "$1")"
    case $target in arduino*) compile_sketch "$@"; return ;; esac
    if [ -n "${events:-}" ] && [ "$target" != atmega328p ]; then
        flags="$flags -DBOARD_TICK_HOOK"
        set -- "$@" examples/firmware/boards/played.c "-DBOARD_EVENTS=\"$events\""
    fi
    case $target in
    host)
        gcc -std=c99 -g -O1 $warnings -fsanitize=address,undefined \
            -fno-sanitize-recover=undefined $flags -I. \
            -o "$output" "$@" examples/firmware/boards/host.c ;;
    atmega328p)
        avr-gcc -mmcu=atmega328p -DF_CPU=16000000UL $small -std=c99 $warnings \
            -mcall-prologues -mrelax $flags -I. \
            -o "$output" "$@" examples/firmware/boards/atmega328p.c ;;
    cortex-m*)
        arm-none-eabi-gcc -mcpu="$target" -mthumb $small -std=c99 $warnings \
            -ffreestanding -fno-tree-loop-distribute-patterns \
            $flags -I. -nostdlib -T examples/firmware/boards/cortex_m.ld \
            $(memory "$target") -o "$output" "$@" examples/firmware/boards/cortex_m.c -lgcc ;;
    rv32imac)
        riscv64-unknown-elf-gcc -march=rv32imac_zicsr -mabi=ilp32 -mcmodel=medany \
            $small -std=c99 $warnings -ffreestanding \
            -fno-tree-loop-distribute-patterns \
            $flags -I. -nostdlib -T examples/firmware/boards/riscv.ld \
            -o "$output" "$@" examples/firmware/boards/riscv.c -lgcc ;;
    esac
}

# A sketch, as Arduino builds it for an Uno: a copy of its folder, the .ino as
# C++ behind Arduino.h, with the core and the library found by -I.  Its program
# is C there, as it stands; and for arduino-c++ that is C++11, too.
arduino=/usr/share/arduino/hardware/arduino/avr
for_uno="-mmcu=atmega328p -DF_CPU=16000000L -DARDUINO=10819 -DARDUINO_AVR_UNO
    -DARDUINO_ARCH_AVR -Os -ffunction-sections -fdata-sections -flto"
cxx11="-std=gnu++11 -fno-exceptions -fno-threadsafe-statics"
compile_sketch() { # SOURCE
    sketch=$(basename "$1" .c)
    folder=$output.sketch
    core=$build/arduino
    [ -e "$core/libcore.a" ] || compile_arduino_core || return 1
    rm -rf "$folder"
    cp -R "$(dirname "$1")" "$folder"
    set -- $for_uno $warnings -I"$arduino/cores/arduino" \
        -I"$arduino/variants/standard" -I. -c
    case $target in
    arduino) avr-gcc -std=gnu11 "$@" -o "$folder/c.o" "$folder/$sketch.c" ;;
    *) avr-g++ $cxx11 "$@" -x c++ -Wno-shadow -o "$folder/c.o" "$folder/$sketch.c" ;;
    esac &&
        avr-g++ $cxx11 "$@" -include Arduino.h -x c++ -o "$folder/ino.o" \
            "$folder/$sketch.ino" &&
        avr-gcc -mmcu=atmega328p -Os -flto -fuse-linker-plugin -Wl,--gc-sections \
            -o "$output" "$folder/c.o" "$folder/ino.o" "$core/libcore.a" -lm
}
compile_arduino_core() {
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

# The machine that QEMU has for a processor.
machine() {
    case $1 in
    cortex-m0) echo microbit ;;
    cortex-m3) echo lm3s6965evb ;;
    cortex-m4) echo netduinoplus2 ;;
    cortex-m33) echo mps2-an505 ;;
    esac
}

# run_image TARGET IMAGE: its output, and its exit status
run_image() {
    case $1 in
    host) timeout 20 "$2" ;;
    atmega328p | arduino*)
        [ "$build/simavr-run" -nt tests/firmware/simavr.c ] ||
            gcc -std=gnu99 -O2 -Wall -Wextra -o "$build/simavr-run" \
                tests/firmware/simavr.c -lsimavr -lelf || return 1
        timeout 60 "$build/simavr-run" "$2" 20000 ${events:-} 2>"$2.cycles" ;;
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
