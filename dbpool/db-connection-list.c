/* SPDX-License-Identifier: LGPL-2.1-or-later
 * SPDX-FileCopyrightText: 2026 The dbpool authors */

/* The list of a pool's sessions; see the private header.
 *
 * It changes in one context only, so who uses it there sees what list models promise. The lock
 * protects the array for readers on other threads, who get something sensible, but may find that
 * the list has changed between two calls. Nothing is emitted or dropped under it. */

#include "config.h"

#include "db-connection-info-private.h"
#include "db-connection-list-private.h"

struct _DbConnectionList
{
  GObject parent_instance;

  DbEngine *engine; /* read-only after construction */

  DbLock lock;
  GPtrArray *items; /* lock, but for reading by who updates: of DbConnectionInfo, by id */
};

static void db_connection_list_model_init (GListModelInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (DbConnectionList,
                               db_connection_list,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_LIST_MODEL,
                                                      db_connection_list_model_init))

/* Held while a pool's pointer to its list is set. */
static DbLock making;

static void
db_connection_list_finalize (GObject *object)
{
  DbConnectionList *self = DB_CONNECTION_LIST (object);

  if (self->engine != NULL)
    db_pool_core_set_observed (self->engine->core, FALSE);
  g_ptr_array_unref (self->items);
  g_clear_pointer (&self->engine, db_engine_unref);
  db_lock_clear (&self->lock);
  G_OBJECT_CLASS (db_connection_list_parent_class)->finalize (object);
}

static void
db_connection_list_class_init (DbConnectionListClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = db_connection_list_finalize;
}

static void
db_connection_list_init (DbConnectionList *self)
{
  db_lock_init (&self->lock);
  self->items = g_ptr_array_new_with_free_func (g_object_unref);
}

static GType
db_connection_list_get_item_type (GListModel *model)
{
  return DB_TYPE_CONNECTION_INFO;
}

static guint
db_connection_list_get_n_items (GListModel *model)
{
  DbConnectionList *self = DB_CONNECTION_LIST (model);
  DB_LOCK_SCOPE (&self->lock);

  return self->items->len;
}

static gpointer
db_connection_list_get_item (GListModel *model, guint position)
{
  DbConnectionList *self = DB_CONNECTION_LIST (model);
  DB_LOCK_SCOPE (&self->lock);

  return position < self->items->len ? g_object_ref (self->items->pdata[position]) : NULL;
}

static void
db_connection_list_model_init (GListModelInterface *iface)
{
  iface->get_item_type = db_connection_list_get_item_type;
  iface->get_n_items = db_connection_list_get_n_items;
  iface->get_item = db_connection_list_get_item;
}

static guint64
id_at (DbConnectionList *self, guint position)
{
  return db_connection_info_get_id (self->items->pdata[position]);
}

/* Replaces @n_removed items at @position, which are the last ones if there are any in @added. */
static void
splice (DbConnectionList *self, guint position, guint n_removed, GPtrArray *added)
{
  g_autoptr (GPtrArray) gone = g_ptr_array_new_with_free_func (g_object_unref);
  guint n_added = added != NULL ? added->len : 0;

  for (guint i = 0; i < n_removed; i++)
    g_ptr_array_add (gone, g_object_ref (self->items->pdata[position + i]));

  db_lock_lock (&self->lock);
  if (n_removed > 0)
    g_ptr_array_remove_range (self->items, position, n_removed);
  for (guint i = 0; i < n_added; i++)
    g_ptr_array_add (self->items, g_object_ref (added->pdata[i]));
  db_lock_unlock (&self->lock);

  for (guint i = 0; i < n_removed; i++)
    db_connection_info_set_gone (gone->pdata[i]);
  if (n_removed + n_added > 0)
    g_list_model_items_changed (G_LIST_MODEL (self), position, n_removed, n_added);
}

static GPtrArray *
make_items (DbConnectionList *self, GArray *slots, guint first)
{
  GPtrArray *items = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = first; i < slots->len; i++)
    g_ptr_array_add (items,
                     db_connection_info_new (self->engine, &g_array_index (slots, DbSlotInfo, i)));
  return items;
}

/* Both sides are in the order of their numbers, which are never used again: what is new comes after
 * everything else. */
void
db_connection_list_update (DbConnectionList *self, DbEngine *engine)
{
  g_autoptr (DbConnectionList) held =
    g_object_ref (self); /* a handler may drop the last other one */
  g_autoptr (GArray) slots = db_engine_snapshot (engine);
  g_autoptr (GPtrArray) added = NULL;
  guint position = 0;
  guint next = 0;

  /* What the update before this one wrote, perhaps on another thread, is seen from here on. */
  db_lock_lock (&self->lock);
  db_lock_unlock (&self->lock);
  for (;;)
    {
      guint n_gone = 0;

      while (position + n_gone < self->items->len &&
             (next == slots->len ||
              id_at (self, position + n_gone) < g_array_index (slots, DbSlotInfo, next).id))
        n_gone++;
      if (position + n_gone == self->items->len)
        {
          added = make_items (self, slots, next);
          splice (self, position, n_gone, added);
          return;
        }
      if (n_gone > 0)
        splice (self, position, n_gone, NULL);
      db_connection_info_update (self->items->pdata[position],
                                 &g_array_index (slots, DbSlotInfo, next));
      position++;
      next++;
    }
}

/* Nobody else knows the list, so nothing is emitted in the wrong context. */
static DbConnectionList *
db_connection_list_new (DbEngine *engine)
{
  DbConnectionList *self = g_object_new (DB_TYPE_CONNECTION_LIST, NULL);

  self->engine = db_engine_ref (engine);
  db_pool_core_set_observed (engine->core, TRUE); /* before the look */
  db_connection_list_update (self, engine);
  return self;
}

GListModel *
db_connection_list_get (GWeakRef *place, DbEngine *engine)
{
  g_autoptr (DbConnectionList) made = NULL;
  GListModel *list = g_weak_ref_get (place);

  if (list != NULL)
    return list;
  /* Not under the lock, because sessions are asked what they do. In a forked child it might be held
   * by nobody. */
  made = db_connection_list_new (engine);
  if (!db_engine_is_forked (engine))
    {
      db_lock_lock (&making);
      list = g_weak_ref_get (place);
      if (list == NULL)
        g_weak_ref_set (place, made);
      db_lock_unlock (&making);
      if (list != NULL)
        return list;
      /* What changed since the look was announced to nobody. */
      db_pool_home_wake (engine->home, FALSE, TRUE);
    }
  return G_LIST_MODEL (g_steal_pointer (&made));
}
