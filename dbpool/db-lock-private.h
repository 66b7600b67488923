/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The one place where dbpool locks.
 *
 * A lock is held for a few hundred instructions and never while anything blocks. So who finds it
 * taken looks again for a moment before it sleeps: to be woken by another processor takes a hundred
 * times as long as the lock is held. (With two threads that each use a session for 20 µs, three of
 * a thousand loans meet; sleeping for those took 2 to 3 % of the throughput.)
 *
 * DbLock and DbCond are GMutex and GCond with the same rules. All of dbpool's locking goes through
 * here, and memory passes between threads only under such a lock or through the atomics of GLib's
 * headers. The reason is ThreadSanitizer: GLib's mutexes are futexes inside an uninstrumented
 * library, which TSan cannot see, so under TSan the wrappers say what was acquired and released.
 * Without TSan they are calls of GLib and nothing else. */

#pragma once

#include <glib.h>

#if defined(__SANITIZE_THREAD__)
#define DB_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DB_TSAN 1
#endif
#endif

#ifdef DB_TSAN
extern void __tsan_acquire (void *addr);
extern void __tsan_release (void *addr);
#define DB_TSAN_ACQUIRE(addr) __tsan_acquire (addr)
#define DB_TSAN_RELEASE(addr) __tsan_release (addr)
#else
#define DB_TSAN_ACQUIRE(addr) ((void) (addr))
#define DB_TSAN_RELEASE(addr) ((void) (addr))
#endif

typedef struct
{
  GMutex mutex;
} DbLock;

typedef struct
{
  GCond cond;
} DbCond;

static inline void
db_lock_init (DbLock *lock)
{
  g_mutex_init (&lock->mutex);
}

static inline void
db_lock_clear (DbLock *lock)
{
  g_mutex_clear (&lock->mutex);
}

/* How often a lock that is taken is looked at before the thread sleeps: some microseconds. */
#define DB_LOCK_LOOKS 60

/* Tells the processor that this thread only waits for another one. */
static inline void
db_relax (void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause ();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static inline gboolean
db_lock_try_for_a_moment (DbLock *lock)
{
  for (guint i = 0; i < DB_LOCK_LOOKS; i++)
    {
      db_relax ();
      db_relax ();
      if (g_mutex_trylock (&lock->mutex))
        return TRUE;
    }
  return FALSE;
}

static inline void
db_lock_lock (DbLock *lock)
{
  if (!g_mutex_trylock (&lock->mutex) && !db_lock_try_for_a_moment (lock))
    g_mutex_lock (&lock->mutex);
  DB_TSAN_ACQUIRE (lock);
}

static inline void
db_lock_unlock (DbLock *lock)
{
  DB_TSAN_RELEASE (lock);
  g_mutex_unlock (&lock->mutex);
}

static inline void
db_cond_init (DbCond *cond)
{
  g_cond_init (&cond->cond);
}

static inline void
db_cond_clear (DbCond *cond)
{
  g_cond_clear (&cond->cond);
}

static inline void
db_cond_signal (DbCond *cond)
{
  g_cond_signal (&cond->cond);
}

static inline void
db_cond_broadcast (DbCond *cond)
{
  g_cond_broadcast (&cond->cond);
}

static inline void
db_cond_wait (DbCond *cond, DbLock *lock)
{
  DB_TSAN_RELEASE (lock);
  g_cond_wait (&cond->cond, &lock->mutex);
  DB_TSAN_ACQUIRE (lock);
}

/* @until: monotonic time in microseconds; %G_MAXINT64 waits for ever. %FALSE when it was reached.
 */
static inline gboolean
db_cond_wait_until (DbCond *cond, DbLock *lock, gint64 until)
{
  gboolean signalled = TRUE;

  DB_TSAN_RELEASE (lock);
  if (until == G_MAXINT64)
    g_cond_wait (&cond->cond, &lock->mutex);
  else
    signalled = g_cond_wait_until (&cond->cond, &lock->mutex, until);
  DB_TSAN_ACQUIRE (lock);
  return signalled;
}

typedef DbLock DbLocker;

static inline DbLocker *
db_locker_new (DbLock *lock)
{
  db_lock_lock (lock);
  return lock;
}

static inline void
db_locker_free (DbLocker *locker)
{
  db_lock_unlock (locker);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DbLocker, db_locker_free)

/* Holds @lock to the end of the scope; stands among the declarations. */
#define DB_LOCK_SCOPE(lock) G_GNUC_UNUSED g_autoptr (DbLocker) db_locker_ = db_locker_new (lock)
