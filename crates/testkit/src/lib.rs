//! Real servers for tests: starts Redis and our processes, builds clusters, checks histories.
