//! Starts twemproxy in front of one Redis, with Debian's defaults where they do not concern addresses.

use std::fs;
use std::path::Path;

use super::place::{Place, two_free_ports, until_answering};
use crate::child::{self, Child};

/// Starts `nutcracker` on a free port; it answers when this returns.
pub(super) fn start(program: &Path, place: &Place<'_>) -> anyhow::Result<(Child, u16)> {
    let (port, stats_port) = two_free_ports()?;
    let file = |ending: &str| place.folder.join(format!("{}-{port}.{ending}", place.name));
    fs::write(file("yml"), configuration(port, place.backend_port))?;
    let mut command = child::command(place.cores, program);
    command.arg("-c").arg(file("yml")).arg("-p").arg(file("pid"));
    command.args(["-a", "127.0.0.1", "-s", &stats_port.to_string(), "-o"]).arg(file("out"));
    let mut child = Child::start(command, &format!("{}-{port}", place.name), place.folder)?;
    until_answering(&mut child, port)?;
    Ok((child, port))
}

fn configuration(port: u16, backend_port: u16) -> String {
    format!(
        "bench:\n  listen: 127.0.0.1:{port}\n  redis: true\n  hash: fnv1a_64\n  distribution: ketama\n  \
         preconnect: true\n  auto_eject_hosts: false\n  servers:\n   - 127.0.0.1:{backend_port}:1\n"
    )
}
