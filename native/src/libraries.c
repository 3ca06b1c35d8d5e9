#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "libraries.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name;
    size_t offset; /* of the function pointer in its table */
} symbol;

#define SYMBOL(table, member, name) {name, offsetof(table, member)}

static const symbol opus_symbols[] = {
    SYMBOL(opus_library, version, "opus_get_version_string"),
    SYMBOL(opus_library, decoder_create, "opus_decoder_create"),
    SYMBOL(opus_library, decoder_destroy, "opus_decoder_destroy"),
    SYMBOL(opus_library, decode, "opus_decode"),
    SYMBOL(opus_library, packet_samples, "opus_packet_get_nb_samples"),
    SYMBOL(opus_library, encoder_create, "opus_encoder_create"),
    SYMBOL(opus_library, encoder_destroy, "opus_encoder_destroy"),
    SYMBOL(opus_library, encoder_ctl, "opus_encoder_ctl"),
    SYMBOL(opus_library, encode, "opus_encode"),
    {NULL, 0},
};

/* No counterpart of opus_packet_get_nb_samples: an LC3 frame is always 10 ms here. */
static const symbol lc3_symbols[] = {
    SYMBOL(lc3_library, decoder_size, "lc3_decoder_size"),
    SYMBOL(lc3_library, setup_decoder, "lc3_setup_decoder"),
    SYMBOL(lc3_library, decode, "lc3_decode"),
    SYMBOL(lc3_library, encoder_size, "lc3_encoder_size"),
    SYMBOL(lc3_library, setup_encoder, "lc3_setup_encoder"),
    SYMBOL(lc3_library, encode, "lc3_encode"),
    {NULL, 0},
};

static opus_library opus_table;
static lc3_library lc3_table;

static struct {
    void *handle;
    const symbol *symbols;
    void *table;
} libraries[] = {
    [LIBRARY_OPUS] = {NULL, opus_symbols, &opus_table},
    [LIBRARY_LC3] = {NULL, lc3_symbols, &lc3_table},
};

const opus_library *opus_opened(void)
{
    return libraries[LIBRARY_OPUS].handle ? &opus_table : NULL;
}

const lc3_library *lc3_opened(void)
{
    return libraries[LIBRARY_LC3].handle ? &lc3_table : NULL;
}

int library_open(int which, const char *path, char *error, size_t size)
{
    if (libraries[which].handle != NULL)
        return 0;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        snprintf(error, size, "%s", dlerror());
        return -1;
    }
    for (const symbol *s = libraries[which].symbols; s->name != NULL; s++) {
        void *function = dlsym(handle, s->name);
        if (function == NULL) {
            snprintf(error, size, "%s has no function %s", path, s->name);
            dlclose(handle);
            return -1;
        }
        memcpy((char *)libraries[which].table + s->offset, &function, sizeof(function));
    }
    libraries[which].handle = handle;
    return 0;
}

const char *library_path(int which)
{
    Dl_info info;
    if (libraries[which].handle == NULL)
        return NULL;
    void *function = dlsym(libraries[which].handle, libraries[which].symbols[0].name);
    return dladdr(function, &info) ? info.dli_fname : NULL;
}

const char *library_opus_version(void)
{
    return opus_opened() ? opus_table.version() : NULL;
}
