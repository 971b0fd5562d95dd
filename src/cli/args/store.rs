//! Where vectors lie that are in no library.

/// What `--store` takes.
pub(crate) const HELP: &str = "\
A collection on a Milvus server instead of the library: milvus://HOST:PORT/COLLECTION

Settings stand behind it, as in milvus://localhost:19530/sounds?consistency=strong&ef=200. \
consistency: strong, bounded (the default) or eventually. Of a collection that import makes: index \
(hnsw, flat, ivf_flat, ivf_sq8 or diskann) with m, ef_construction or nlist, and shards. Of searches: \
ef, nprobe, search_list. timeout: seconds for an answer; patience: seconds that an import waits for a \
server that went away. Who asks is said by the environment variable SONOTECA_MILVUS_LOGIN, as \
NAME:PASSWORD. It needs a sonoteca that was built with --features milvus.";
