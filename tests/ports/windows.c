/* Linked into each program that is tested on Windows: it writes the bytes that
 * others write, not "\r\n" at the end of a line. */
#include <fcntl.h>
#include <io.h>

__attribute__((constructor)) static void write_bytes(void)
{
    _setmode(1, _O_BINARY);
    _setmode(2, _O_BINARY);
}
