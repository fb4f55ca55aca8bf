#include <string.h>

/* Copies a name; the target must be large enough. */
void copy_name(char *target, const char *name)
{
    strcpy(target, name);
    for (int i = 0; target[i] != 0; i++) {
        if (target[i] == ' ') {
            target[i] = '_';
        }
    }
}
