"""Describes the native module ``example_pkg._lmdb_cffi`` to CFFI.

Run by the build backend (``cffi-modules`` in pyproject.toml), never by the package itself. Everything is compiled in:
the patched LMDB of ``lmdb-src`` and a few functions that save building an ``MDB_val`` in Python for every
key and value.
"""

from __future__ import annotations

import cffi

ERROR_NAMES = """
    MDB_KEYEXIST MDB_NOTFOUND MDB_PAGE_NOTFOUND MDB_CORRUPTED MDB_PANIC MDB_VERSION_MISMATCH MDB_INVALID MDB_MAP_FULL
    MDB_DBS_FULL MDB_READERS_FULL MDB_TLS_FULL MDB_TXN_FULL MDB_CURSOR_FULL MDB_PAGE_FULL MDB_MAP_RESIZED
    MDB_INCOMPATIBLE MDB_BAD_RSLOT MDB_BAD_TXN MDB_BAD_VALSIZE MDB_BAD_DBI EACCES EAGAIN EBUSY EINVAL ENOMEM ENOSPC
"""
FLAG_NAMES = """
    MDB_NOSUBDIR MDB_NOSYNC MDB_RDONLY MDB_NOMETASYNC MDB_WRITEMAP MDB_MAPASYNC MDB_NOTLS MDB_NOLOCK MDB_NORDAHEAD
    MDB_NOMEMINIT MDB_REVERSEKEY MDB_DUPSORT MDB_INTEGERKEY MDB_DUPFIXED MDB_INTEGERDUP MDB_CREATE MDB_NOOVERWRITE
    MDB_NODUPDATA MDB_APPEND MDB_APPENDDUP MDB_CP_COMPACT
"""
CURSOR_NAMES = """
    MDB_FIRST MDB_FIRST_DUP MDB_GET_BOTH MDB_GET_BOTH_RANGE MDB_GET_CURRENT MDB_GET_MULTIPLE MDB_LAST MDB_LAST_DUP
    MDB_NEXT MDB_NEXT_DUP MDB_NEXT_MULTIPLE MDB_NEXT_NODUP MDB_PREV MDB_PREV_DUP MDB_PREV_NODUP MDB_SET_KEY
    MDB_SET_RANGE
"""

DECLARATIONS = """
typedef unsigned int MDB_dbi;
typedef struct MDB_env MDB_env;
typedef struct MDB_txn MDB_txn;
typedef struct MDB_cursor MDB_cursor;
typedef struct MDB_val { size_t mv_size; void *mv_data; ...; } MDB_val;
typedef struct MDB_stat {
    unsigned int ms_psize; unsigned int ms_depth;
    size_t ms_branch_pages; size_t ms_leaf_pages; size_t ms_overflow_pages; size_t ms_entries; ...;
} MDB_stat;
typedef struct MDB_envinfo {
    void *me_mapaddr; size_t me_mapsize; size_t me_last_pgno; size_t me_last_txnid;
    unsigned int me_maxreaders; unsigned int me_numreaders; ...;
} MDB_envinfo;

char *mdb_version(int *major, int *minor, int *patch);
char *mdb_strerror(int code);

int mdb_env_create(MDB_env **env);
void mdb_env_close(MDB_env *env);
int mdb_env_copy3(MDB_env *env, const char *path, unsigned int flags, MDB_txn *txn);
int mdb_env_copyfd3(MDB_env *env, int fd, unsigned int flags, MDB_txn *txn);
int mdb_env_stat(MDB_env *env, MDB_stat *stat);
int mdb_env_info(MDB_env *env, MDB_envinfo *info);
int mdb_env_sync(MDB_env *env, int force);
int mdb_env_get_flags(MDB_env *env, unsigned int *flags);
int mdb_env_get_path(MDB_env *env, const char **path);
int mdb_env_set_mapsize(MDB_env *env, size_t size);
int mdb_env_set_maxreaders(MDB_env *env, unsigned int readers);
int mdb_env_get_maxreaders(MDB_env *env, unsigned int *readers);
int mdb_env_set_maxdbs(MDB_env *env, MDB_dbi dbs);
int mdb_env_get_maxkeysize(MDB_env *env);
int mdb_reader_check(MDB_env *env, int *dead);

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, MDB_txn **txn);
size_t mdb_txn_id(MDB_txn *txn);
int mdb_txn_commit(MDB_txn *txn);
void mdb_txn_abort(MDB_txn *txn);
void mdb_txn_reset(MDB_txn *txn);
int mdb_txn_renew(MDB_txn *txn);

int mdb_dbi_flags(MDB_txn *txn, MDB_dbi dbi, unsigned int *flags);
int mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *stat);
int mdb_drop(MDB_txn *txn, MDB_dbi dbi, int del);

int mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor);
void mdb_cursor_close(MDB_cursor *cursor);
int mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data, int op);
int mdb_cursor_del(MDB_cursor *cursor, unsigned int flags);
int mdb_cursor_count(MDB_cursor *cursor, size_t *count);

void free(void *memory);

static int open_env(MDB_env *env, const char *path, unsigned int flags, unsigned int mode);
static int open_dbi(MDB_txn *txn, const char *name, size_t size, unsigned int flags, MDB_dbi *dbi);
static int get_value(MDB_txn *txn, MDB_dbi dbi, const char *key, size_t key_size, MDB_val *found);
static int put_value(MDB_txn *txn, MDB_dbi dbi, const char *key, size_t key_size,
                     const char *value, size_t value_size, unsigned int flags);
static int delete_value(MDB_txn *txn, MDB_dbi dbi, const char *key, size_t key_size,
                        const char *value, size_t value_size);
static int seek_cursor(MDB_cursor *cursor, const char *key, size_t key_size, const char *value, size_t value_size,
                       MDB_val *found_key, MDB_val *found_value, int op);
static int put_cursor(MDB_cursor *cursor, const char *key, size_t key_size,
                      const char *value, size_t value_size, unsigned int flags);
static int list_readers(MDB_env *env, char **text);
"""

SOURCE = """
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include "lmdb.h"

static int open_env(MDB_env *env, const char *path, unsigned int flags, unsigned int mode)
{
    return mdb_env_open(env, path, flags, (mdb_mode_t)mode);
}

/* LMDB takes the name as a C string: one that holds a NUL would silently name another database. */
static int open_dbi(MDB_txn *txn, const char *name, size_t size, unsigned int flags, MDB_dbi *dbi)
{
    if (name && strlen(name) != size)
        return EINVAL;
    return mdb_dbi_open(txn, name, flags, dbi);
}

static int get_value(MDB_txn *txn, MDB_dbi dbi, const char *key, size_t key_size, MDB_val *found)
{
    MDB_val k = {key_size, (void *)key};
    return mdb_get(txn, dbi, &k, found);
}

static int put_value(MDB_txn *txn, MDB_dbi dbi, const char *key, size_t key_size,
                     const char *value, size_t value_size, unsigned int flags)
{
    MDB_val k = {key_size, (void *)key}, v = {value_size, (void *)value};
    return mdb_put(txn, dbi, &k, &v, flags);
}

static int delete_value(MDB_txn *txn, MDB_dbi dbi, const char *key, size_t key_size,
                        const char *value, size_t value_size)
{
    MDB_val k = {key_size, (void *)key}, v = {value_size, (void *)value};
    return mdb_del(txn, dbi, &k, value_size ? &v : NULL);
}

static int seek_cursor(MDB_cursor *cursor, const char *key, size_t key_size, const char *value, size_t value_size,
                       MDB_val *found_key, MDB_val *found_value, int op)
{
    MDB_val k = {key_size, (void *)key}, v = {value_size, (void *)value};
    int rc = mdb_cursor_get(cursor, &k, &v, (MDB_cursor_op)op);
    /* Some operations leave the arguments as they were: never let those escape, they belong to Python. */
    if (!rc && (k.mv_data == key || v.mv_data == value))
        rc = mdb_cursor_get(cursor, &k, &v, MDB_GET_CURRENT);
    if (!rc) {
        *found_key = k;
        *found_value = v;
    }
    return rc;
}

static int put_cursor(MDB_cursor *cursor, const char *key, size_t key_size,
                      const char *value, size_t value_size, unsigned int flags)
{
    MDB_val k = {key_size, (void *)key}, v = {value_size, (void *)value};
    return mdb_cursor_put(cursor, &k, &v, flags);
}

struct reader_text { char *text; size_t size; };

static int append_reader_line(const char *line, void *context)
{
    struct reader_text *collected = context;
    size_t size = strlen(line);
    char *grown = realloc(collected->text, collected->size + size + 1);
    if (!grown)
        return -1;
    memcpy(grown + collected->size, line, size + 1);
    collected->text = grown;
    collected->size += size;
    return 0;
}

/* The caller frees *text, which is NULL when there is nothing to say. */
static int list_readers(MDB_env *env, char **text)
{
    struct reader_text collected = {NULL, 0};
    int rc = mdb_reader_list(env, append_reader_line, &collected);
    *text = collected.text;
    return rc < 0 ? (rc == -1 ? ENOMEM : rc) : 0;
}
"""

ffibuilder = cffi.FFI()
ffibuilder.cdef(
    DECLARATIONS
    + "".join(f"#define {name} ...\n" for name in (ERROR_NAMES + FLAG_NAMES).split())
    + "typedef enum MDB_cursor_op { "
    + ", ".join((*CURSOR_NAMES.split(), "..."))
    + " } MDB_cursor_op;\n"
)
ffibuilder.set_source(
    "example_pkg._lmdb_cffi",
    SOURCE,
    sources=["lmdb-src/mdb.c", "lmdb-src/midl.c"],
    include_dirs=["lmdb-src"],
    define_macros=[("HAVE_PATCHED_LMDB", "1")],
    # Interpreters compile extensions with NDEBUG, which would remove LMDB's own checks of its invariants.
    undef_macros=["NDEBUG"],
)
