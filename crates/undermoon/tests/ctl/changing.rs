//! What `ctl` changes, and that it is changed.

use super::broker::Broker;

#[test]
fn the_pool() {
    let broker = Broker::with_proxies(2);
    let again = broker.ctl(&["pool", "add", "127.0.3.1:5299", "127.0.3.1:6379", "127.0.3.1:6380"]).good();
    assert!(again.contains("was registered already"), "{again}");
    let removed = broker.ctl(&["pool", "remove", "127.0.3.1:5299", "127.0.3.2:5299"]).good();
    assert_eq!(removed.lines().count(), 2, "{removed}");
    assert!(broker.state().proxies.is_empty());
}

#[test]
fn settings_of_a_cluster() {
    let broker = Broker::with_proxies(2);
    let create = ["cluster", "create", "mydb", "--nodes", "4", "--set", "compression_strategy=set_get_only"];
    let created = broker.ctl(&[&create[..], &["--no-wait", "-o", "json"]].concat()).json();
    assert_eq!(created["done"], false);
    let config = || broker.ctl(&["cluster", "config", "mydb", "-o", "json"]).json();
    assert_eq!(config()["compression_strategy"], "set_get_only");
    let change =
        ["cluster", "config", "mydb", "compression_strategy=disabled", "migration_max_blocking_time=500"];
    let changed = broker.ctl(&change).good();
    assert_eq!(changed, "cluster mydb: compression_strategy = disabled, migration_max_blocking_time = 500\n");
    assert_eq!(config()["migration_max_blocking_time"], "500");
    let deleted = broker.ctl(&["cluster", "delete", "mydb", "--yes", "--no-wait"]).good();
    assert!(deleted.contains("is deleted"), "{deleted}");
}

#[test]
fn a_dump_goes_into_another_broker() {
    let broker = Broker::with_proxies(3);
    broker.ctl(&["cluster", "create", "mydb", "--chunks", "1", "--no-wait"]).good();
    let file = broker.folder().join("dump.json");
    let file = file.to_str().unwrap();
    broker.ctl(&["dump", file]).good();
    let twice = broker.ctl(&["dump", file]);
    assert!(twice.code == 1 && twice.stderr.contains("does not exist"), "{}", twice.stderr);
    assert_eq!(broker.ctl(&["dump"]).good(), std::fs::read_to_string(file).unwrap());

    let other = Broker::start(&[]);
    let unasked = other.ctl(&["restore", file]);
    assert_eq!(unasked.code, 2);
    assert!(unasked.stderr.contains("with clusters: 1, proxies: 3"), "{}", unasked.stderr);
    other.ctl(&["restore", file, "--yes"]).good();
    let mut restored = other.state();
    assert!(restored.is_under_review());
    restored.clusters.values_mut().for_each(|cluster| cluster.review = false);
    restored.proxies.values_mut().for_each(|proxy| proxy.review = false);
    let mut dumped = broker.state();
    // Whoever is named by the dump is no stranger where it is restored.
    dumped.proxies.values_mut().for_each(|proxy| proxy.is_new = false);
    assert_eq!(restored, dumped);

    // Nobody is at these addresses, so an operator has to say who is right.
    let refused = other.ctl(&["cluster", "config", "mydb", "migration_max_blocking_time=500"]);
    assert!(refused.code == 1 && refused.stderr.contains("ctl review"), "{}", refused.stderr);
    let shown = other.ctl(&["review"]).good();
    assert!(shown.contains("no proxy has a view of it: 2 of its proxies do not answer"), "{shown}");
    assert!(shown.contains("of the pool: it does not answer"), "{shown}");
    let decide = ["review", "--cluster", "mydb", "--by", "metadata"];
    assert_eq!(other.ctl(&decide).code, 2, "without a terminal there is nobody to ask");
    other.ctl(&[&decide[..], &["--yes"]].concat()).good();

    // What is newer is not overwritten by what is older.
    other.ctl(&["cluster", "config", "mydb", "migration_max_blocking_time=500"]).good();
    let older = other.ctl(&["restore", file, "--yes"]);
    assert_eq!(older.code, 1, "{}", older.stdout);
    assert!(older.stderr.contains("EPOCH_SMALLER_THAN_CURRENT"), "{}", older.stderr);
    std::fs::write(file, "not JSON").unwrap();
    let garbage = other.ctl(&["restore", file, "--yes"]);
    assert!(garbage.code == 1 && garbage.stderr.contains("is not a dump"), "{}", garbage.stderr);
}
