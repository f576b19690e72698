"""Qdrant's engine as a library (qdrant-edge-py), a shard a tenant.

    edge_shards.py FOLDER [lean]

lean: one search thread a shard and no log, the least that it can be told; each fill ends with a
flush, so that it is durable all the same."""

import os

import qdrant_edge as edge

import subject


class EdgeShards(subject.Subject):
    package = "qdrant-edge-py"

    def __init__(self, folder, manner=None):
        super().__init__(folder)
        self.config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(size=subject.DIM, distance=edge.Distance.Dot),
            **({"max_search_threads": 1, "wal_enabled": False} if manner == "lean" else {}))
        self.shards = {}

    def path(self, tenant):
        return os.path.join(self.folder, str(tenant))

    def create(self, tenant):
        os.mkdir(self.path(tenant))
        self.shards[tenant] = edge.EdgeShard.create(self.path(tenant), self.config)

    def fill(self, tenant, ids, vectors):
        points = [edge.Point(id, vector) for id, vector in zip(ids, vectors)]
        self.shards[tenant].update(edge.UpdateOperation.upsert_points(points))
        self.shards[tenant].flush()

    def open(self, tenant):
        self.shards[tenant] = edge.EdgeShard.load(self.path(tenant), self.config)

    def search(self, tenant, vector):
        request = edge.QueryRequest(limit=subject.LIMIT, query=edge.Query.Nearest(vector))
        return self.shards[tenant].query(request)[0].id


if __name__ == "__main__":
    subject.run(EdgeShards)
