//! What nodes save of their data, and the scripts that they keep: read from their INFO, and joined for the proxy's own.
//!
//! The proxy stores nothing, so what it says of saving is what its nodes say.

/// Saving and scripts of one node, or of several together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeSaves {
    /// Some node loads its data.
    pub loading: bool,
    /// Some node loads what its primary sends, and answers meanwhile.
    pub async_loading: bool,
    /// Changes since the last dump, of all nodes.
    pub changes_since_save: u64,
    /// Some node writes a dump.
    pub saving: bool,
    /// The last dump of each node went well.
    pub last_save_ok: bool,
    /// Some node keeps an append-only file.
    pub aof_enabled: bool,
    /// Some node rewrites its append-only file.
    pub rewriting: bool,
    /// Some node is about to.
    pub rewrite_scheduled: bool,
    /// The last rewrite of each node went well.
    pub last_rewrite_ok: bool,
    /// The last write of each node to its append-only file went well.
    pub last_write_ok: bool,
    /// The most scripts that any node keeps: most are loaded into all of them.
    pub cached_scripts: u64,
}

impl Default for NodeSaves {
    /// Nothing runs, nothing has failed.
    fn default() -> Self {
        NodeSaves {
            loading: false,
            async_loading: false,
            changes_since_save: 0,
            saving: false,
            last_save_ok: true,
            aof_enabled: false,
            rewriting: false,
            rewrite_scheduled: false,
            last_rewrite_ok: true,
            last_write_ok: true,
            cached_scripts: 0,
        }
    }
}

impl NodeSaves {
    /// Notes a line of a node's INFO; other fields change nothing.
    pub fn note(&mut self, field: &str, value: &str) {
        let number = || value.parse().unwrap_or(0);
        match field {
            "loading" => self.loading = value == "1",
            "async_loading" => self.async_loading = value == "1",
            "rdb_changes_since_last_save" => self.changes_since_save = number(),
            "rdb_bgsave_in_progress" => self.saving = value == "1",
            "rdb_last_bgsave_status" => self.last_save_ok = value == "ok",
            "aof_enabled" => self.aof_enabled = value == "1",
            "aof_rewrite_in_progress" => self.rewriting = value == "1",
            "aof_rewrite_scheduled" => self.rewrite_scheduled = value == "1",
            "aof_last_bgrewrite_status" => self.last_rewrite_ok = value == "ok",
            "aof_last_write_status" => self.last_write_ok = value == "ok",
            "number_of_cached_scripts" => self.cached_scripts = number(),
            _ => {}
        }
    }

    /// Of several nodes together.
    pub fn joined(nodes: impl Iterator<Item = NodeSaves>) -> NodeSaves {
        nodes.fold(NodeSaves::default(), |all, node| NodeSaves {
            loading: all.loading || node.loading,
            async_loading: all.async_loading || node.async_loading,
            changes_since_save: all.changes_since_save.saturating_add(node.changes_since_save),
            saving: all.saving || node.saving,
            last_save_ok: all.last_save_ok && node.last_save_ok,
            aof_enabled: all.aof_enabled || node.aof_enabled,
            rewriting: all.rewriting || node.rewriting,
            rewrite_scheduled: all.rewrite_scheduled || node.rewrite_scheduled,
            last_rewrite_ok: all.last_rewrite_ok && node.last_rewrite_ok,
            last_write_ok: all.last_write_ok && node.last_write_ok,
            cached_scripts: all.cached_scripts.max(node.cached_scripts),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::NodeSaves;

    #[test]
    fn what_any_node_does_the_proxy_says() {
        let mut saving = NodeSaves::default();
        for (field, value) in [
            ("rdb_bgsave_in_progress", "1"),
            ("rdb_changes_since_last_save", "3"),
            ("aof_last_write_status", "err"),
            ("number_of_cached_scripts", "2"),
            ("redis_version", "1"),
        ] {
            saving.note(field, value);
        }
        let expected = NodeSaves {
            saving: true,
            changes_since_save: 3,
            last_write_ok: false,
            cached_scripts: 2,
            ..NodeSaves::default()
        };
        assert_eq!(saving, expected);
        assert_eq!(NodeSaves::joined([NodeSaves::default(), saving].into_iter()), expected);
        assert_eq!(NodeSaves::joined(std::iter::empty()), NodeSaves::default());
    }
}
