/* gcc: duplicate label 'two_awaits_on_line_14' */
/* clang: redefinition of label 'two_awaits_on_line_14' */

/* Two awaits on one line: the line is what tells them apart. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT(work, 1); AWAIT(work, 2);
    ASYNC_END;
}
