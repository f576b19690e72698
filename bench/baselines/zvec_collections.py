"""zvec, a collection a tenant, with the index that its documentation begins with (HNSW).

    zvec_collections.py FOLDER"""

import os

import zvec

import subject


class ZvecCollections(subject.Subject):
    package = "zvec"

    def __init__(self, folder):
        super().__init__(folder)
        zvec.init(log_level=zvec.LogLevel.ERROR)
        index = zvec.HnswIndexParam(metric_type=zvec.MetricType.IP)
        vectors = zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, subject.DIM, index)
        self.schema = zvec.CollectionSchema(name="tenant", vectors=[vectors])
        self.collections = {}

    def path(self, tenant):
        return os.path.join(self.folder, str(tenant))

    def create(self, tenant):
        self.collections[tenant] = zvec.create_and_open(self.path(tenant), self.schema)

    def fill(self, tenant, ids, vectors):
        documents = [zvec.Doc(id=str(id), vectors={"vector": vector})
                     for id, vector in zip(ids, vectors)]
        for status in self.collections[tenant].insert(documents):
            if not status.ok():
                raise RuntimeError(str(status))
        self.collections[tenant].flush()

    def open(self, tenant):
        self.collections[tenant] = zvec.open(self.path(tenant))

    def search(self, tenant, vector):
        query = zvec.Query(field_name="vector", vector=vector)
        return self.collections[tenant].query(query, topk=subject.LIMIT)[0].id

    def close(self):
        for collection in self.collections.values():
            collection.close()


if __name__ == "__main__":
    subject.run(ZvecCollections)
