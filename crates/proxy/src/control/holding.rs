//! The answer to UMCTL VIEW: what this proxy was told and what its nodes hold, for a control plane whose own metadata may
//! be older. docs/umctl.md has its form.

use keeper::Keeper;
use model::SetCluster;
use resp::encode;

/// Appends the reply: the view in the words of SETCLUSTER, and the nodes that answer.
pub(super) fn write(keeper: &Keeper, reply: &mut Vec<u8>) {
    encode::array(reply, 4);
    encode::bulk(reply, b"view");
    let view = keeper.metadata().view();
    let words = view.map(|view| SetCluster::new(view.clone(), false).to_args(false)).unwrap_or_default();
    encode::array(reply, words.len());
    words.iter().for_each(|word| encode::bulk(reply, word.as_bytes()));
    encode::bulk(reply, b"nodes");
    let answering: Vec<_> =
        keeper.nodes().filter_map(|(address, health)| Some((address, health.status()?))).collect();
    encode::array(reply, answering.len());
    for (address, status) in answering {
        encode::array(reply, 6);
        let texts = [("address", address.to_string()), ("run_id", status.run_id.clone())];
        for (name, text) in texts {
            encode::bulk(reply, name.as_bytes());
            encode::bulk(reply, text.as_bytes());
        }
        encode::bulk(reply, b"keys");
        encode::integer(reply, i64::try_from(status.keys).unwrap_or(i64::MAX));
    }
}
