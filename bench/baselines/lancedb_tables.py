"""LanceDB, a table a tenant, no index: it searches ten rows exactly.

    lancedb_tables.py FOLDER"""

import lancedb
import pyarrow

import subject


class LanceTables(subject.Subject):
    package = "lancedb"

    def __init__(self, folder):
        super().__init__(folder)
        self.database = lancedb.connect(folder)
        self.schema = pyarrow.schema([
            pyarrow.field("id", pyarrow.int64()),
            pyarrow.field("vector", pyarrow.list_(pyarrow.float32(), subject.DIM))])
        self.tables = {}

    def create(self, tenant):
        self.tables[tenant] = self.database.create_table(f"t{tenant}", schema=self.schema)

    def fill(self, tenant, ids, vectors):
        self.tables[tenant].add([{"id": id, "vector": vector} for id, vector in zip(ids, vectors)])

    def open(self, tenant):
        self.tables[tenant] = self.database.open_table(f"t{tenant}")

    def search(self, tenant, vector):
        return self.tables[tenant].search(vector).limit(subject.LIMIT).to_list()[0]["id"]


if __name__ == "__main__":
    subject.run(LanceTables)
