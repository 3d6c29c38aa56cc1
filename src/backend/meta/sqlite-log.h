/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the log (PATH-wal) is written: SQLite writes it in two pieces a page, twenty and more system calls for one small
 * transaction; here they are gathered and go to the file as one piece with the last page of the transaction.
 */
#ifndef GARNER_BACKEND_META_SQLITE_LOG_H
#define GARNER_BACKEND_META_SQLITE_LOG_H

/*
 * The name of a VFS that does this over SQLite's own, for sqlite3_open_v2(), made known at the first call; NULL (SQLite's
 * own) where that fails. Any thread.
 */
const char *meta_sqlite_log_vfs(void);

#endif
