//! Repair, played out: the metadata, one coordinator and a small imitation of proxies and nodes.
