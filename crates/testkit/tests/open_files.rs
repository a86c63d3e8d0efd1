//! A proxy at its limit of open files: clients beyond it are told so, and it costs nothing.

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::wait::{Deadline, wait_until};

/// The proxy may have this many files and sockets open.
const OPEN_FILES: u64 = 64;
const CLIENTS: usize = 120;
/// How long a client waits for an answer here.
const REPLY_LIMIT: std::time::Duration = std::time::Duration::from_millis(300);

fn ticks(pid: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("a process's name ends with a parenthesis")?;
    let mut times = fields.split(' ').skip(11);
    let mut next = || -> Result<u64> { Ok(times.next().context("both times are there")?.parse()?) };
    Ok(next()? + next()?)
}

#[test]
fn clients_beyond_the_limit_of_open_files_are_refused() -> Result<()> {
    let node = RedisServer::start(RedisOptions::default())?;
    let mut proxy = ProxyProcess::in_front_of(node.address(), &ProxyOptions::default())?;
    let pid = proxy.process().id();
    let number = Pid::from_raw(i32::try_from(pid)?).context("a pid is positive")?;
    let limit = Rlimit { current: Some(OPEN_FILES), maximum: Some(OPEN_FILES) };
    prlimit(Some(number), Resource::Nofile, limit)?;
    let started = std::time::Instant::now();
    let mut served = Vec::new();
    let (mut told, mut refused) = (0, 0);
    for _ in 0..CLIENTS {
        let mut client = proxy.connect()?;
        client.set_reply_limit(REPLY_LIMIT)?;
        match client.say("PING") {
            Ok(reply) if reply.error().is_none() => served.push(client),
            Ok(reply) => {
                ensure!(
                    reply.error().as_deref() == Some("ERR max number of clients reached"),
                    "{:?}",
                    reply.error()
                );
                told += 1;
                refused += 1;
            }
            // It was refused before it had sent its PING, or waits: the spare descriptor may be another's for the moment.
            Err(_) => refused += 1,
        }
    }
    ensure!(served.len() > 10 && refused > 40, "{} were served, {refused} refused", served.len());
    ensure!(told > 0, "of {refused} clients that got no place none was told why");
    // Nobody spins.
    let before = ticks(pid)?;
    let begun = std::time::Instant::now();
    wait_until(Deadline::within(std::time::Duration::from_secs(10)), "two seconds pass", || {
        begun.elapsed().as_secs() >= 2
    })?;
    let used = ticks(pid)? - before;
    ensure!(used < 40, "{used} ticks of processor time in two seconds");
    let warnings = proxy.process().log_tail().matches("cannot accept connections").count();
    // Once a second, by each of two workers.
    let most = 2 * (started.elapsed().as_secs() as usize + 1);
    ensure!((1..=most).contains(&warnings), "{warnings} warnings, not {most} at most");
    // Whoever is served goes on being served, and places that become free are given out.
    for client in &mut served {
        client.set_reply_limit(std::time::Duration::from_secs(10))?;
        client.say("PING")?;
    }
    served.clear();
    wait_until(Deadline::within(std::time::Duration::from_secs(10)), "a place becomes free", || {
        proxy
            .connect()
            .and_then(|mut client| Ok(client.say("PING")?))
            .is_ok_and(|reply| reply.error().is_none())
    })?;
    Ok(())
}
