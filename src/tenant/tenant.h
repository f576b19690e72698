/* Tenants' data: memtables, islands and their runs, the block cache, views and id directories. */
#ifndef INS_TENANT_TENANT_H
#define INS_TENANT_TENANT_H

#include "tenant/cache.h"
#include "tenant/cache_owner.h"
#include "tenant/directory.h"
#include "tenant/island.h"
#include "tenant/memtable.h"
#include "tenant/page.h"
#include "tenant/reader.h"
#include "tenant/table.h"

#endif
