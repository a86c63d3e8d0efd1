//! The 40 characters that name a member in CLUSTER NODES and its kin.

use std::fmt;

use sha1_smol::Sha1;

use crate::address::Address;
use crate::cluster_name::ClusterName;
use crate::crc64::crc64;

const ID_BYTES: usize = 40;
const NAME_BYTES: usize = 20;
const FILLER: char = '_';

/// A member's id. It follows from the cluster's name and the member's address alone, so that every proxy
/// gives the same one without asking anybody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; ID_BYTES]);

impl NodeId {
    /// The id of the member at `address` in Undermoon's older form: the cluster's name cut or padded to 20, the CRC-64
    /// of the address as 16 hexadecimal digits, and four fillers.
    #[must_use]
    pub fn of(cluster: &ClusterName, address: &Address) -> Self {
        let name = cluster.as_str();
        let name = &name[..name.len().min(NAME_BYTES)];
        let hash = crc64(address.to_string().as_bytes());
        let text = format!("{name:_<NAME_BYTES$}{hash:016x}{FILLER}{FILLER}{FILLER}{FILLER}");
        Self(
            text.into_bytes().try_into().expect("20 of name, 16 of hash and 4 fillers are 40 bytes of ASCII"),
        )
    }

    /// The id of the member at `address` in Redis's own form, 40 hexadecimal digits.
    #[must_use]
    pub fn hex(cluster: &ClusterName, address: &Address) -> Self {
        Self::digest(&format!("node {cluster} {address}"))
    }

    /// The id of the shard whose primary is at `address`, in Redis's own form.
    #[must_use]
    pub fn shard_hex(cluster: &ClusterName, address: &Address) -> Self {
        Self::digest(&format!("shard {cluster} {address}"))
    }

    fn digest(text: &str) -> Self {
        let digits = Sha1::from(text).digest().to_string();
        Self(digits.into_bytes().try_into().expect("a SHA-1 digest is 20 bytes, which are 40 digits"))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id is made of ASCII only")
    }

    /// The id as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::NodeId;

    #[test]
    fn known_ids() {
        let check = |name: &str, address: &str, expected: &str| {
            let id = NodeId::of(&name.parse().unwrap(), &address.parse().unwrap());
            assert_eq!(id.as_str(), expected, "{name} {address}");
        };
        check("mydb", "127.0.0.1:5299", "mydb________________9f8fca2805923328____");
        check("mydb", "127.0.0.1:7000", "mydb________________d458dd9b55cc9ad9____");
        check("a234567890123456789012345", "127.0.0.1:5299", "a23456789012345678909f8fca2805923328____");
    }

    #[test]
    fn ids_in_redis_s_form() {
        let (name, address) = ("mydb".parse().unwrap(), "127.0.0.1:5299".parse().unwrap());
        // printf 'node mydb 127.0.0.1:5299' | sha1sum
        assert_eq!(NodeId::hex(&name, &address).as_str(), "107bb01f21fd07a7de7989abec54eedac729531e");
        assert_eq!(NodeId::shard_hex(&name, &address).as_str(), "5fcf6b99caddef0f646dd3591c8ca06ac0195ac3");
    }
}
