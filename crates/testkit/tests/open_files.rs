//! A proxy at its limit of open files: clients beyond it are told so, and it costs nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use testkit::connection::{Connection, ConnectionError};
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::wait::{Deadline, wait_until};

/// How long a client may wait for an answer or for the end of its connection.
const REPLY_LIMIT: Duration = Duration::from_secs(10);

/// Clients of a proxy that has no place for all of them.
#[derive(Default)]
struct Crowd {
    served: Vec<Connection>,
    /// Clients that read why they are refused.
    told: usize,
    /// All that were refused: who has sent its PING before may find a reset instead of the reason, as with Redis.
    refused: usize,
}

impl Crowd {
    /// Connects so many clients, one after the other. Each is served or refused; that one of them waits is an error.
    fn connect(proxy: &ProxyProcess, clients: usize) -> Result<Crowd> {
        let mut crowd = Crowd::default();
        for at in 0..clients {
            let mut client = proxy.connect()?;
            client.set_reply_limit(REPLY_LIMIT)?;
            match client.say("PING") {
                Ok(reply) if reply.error().is_none() => crowd.served.push(client),
                Ok(reply) => {
                    let error = reply.error();
                    ensure!(error.as_deref() == Some("ERR max number of clients reached"), "{error:?}");
                    crowd.told += 1;
                    crowd.refused += 1;
                }
                Err(error @ ConnectionError::TimedOut { .. }) => {
                    return Err(error).with_context(|| format!("client {at} got no answer"));
                }
                Err(_) => crowd.refused += 1,
            }
        }
        Ok(crowd)
    }

    /// Those who are served go on being served, and places that become free are given out.
    fn leave(mut self, proxy: &ProxyProcess) -> Result<()> {
        for client in &mut self.served {
            client.say("PING")?;
        }
        self.served.clear();
        wait_until(Deadline::within(REPLY_LIMIT), "a place becomes free", || {
            let reply = proxy.connect().and_then(|mut client| Ok(client.say("PING")?));
            reply.is_ok_and(|reply| reply.error().is_none())
        })
    }
}

fn ticks(pid: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("a process's name ends with a parenthesis")?;
    let mut times = fields.split(' ').skip(11);
    let mut next = || -> Result<u64> { Ok(times.next().context("both times are there")?.parse()?) };
    Ok(next()? + next()?)
}

#[test]
fn maxclients_is_lowered_to_what_the_limit_of_open_files_allows() -> Result<()> {
    /// Three quarters of the limit below.
    const CLIENTS: usize = 192;
    let node = RedisServer::start(RedisOptions::default())?;
    let mut proxy = ProxyProcess::in_front_of(node.address(), &ProxyOptions::default().with_open_files(256))?;
    let mut crowd = Crowd::connect(&proxy, CLIENTS + 100)?;
    ensure!(crowd.served.len() == CLIENTS && crowd.refused == 100, "{} are served", crowd.served.len());
    ensure!(crowd.told > 0, "of {} clients that got no place none was told why", crowd.refused);
    let first = &mut crowd.served[0];
    let shown = first.say("CONFIG GET maxclients")?;
    ensure!(shown.bytes().windows(3).any(|part| part == b"192"), "CONFIG GET shows {shown:?}");
    let shown = first.say("INFO clients")?.text()?;
    ensure!(shown.contains("maxclients:192\r"), "INFO shows {shown}");
    let more = first.say("CONFIG SET maxclients 193")?.error();
    ensure!(more.as_ref().is_some_and(|error| error.ends_with("try with 192")), "{more:?}");
    first.say("CONFIG SET maxclients 192")?.expect_ok()?;
    // With every place taken there are connections for what clients ask: to a node for large requests, and in another
    // database, in each of both workers.
    let value = vec![b'v'; 1024 * 1024];
    for client in &mut crowd.served {
        client.call(&[b"SET", b"large", &value])?.expect_ok()?;
        client.say("SELECT 3")?.expect_ok()?;
        client.say("SET small 1")?.expect_ok()?;
    }
    let log = proxy.process().log_tail();
    ensure!(log.contains("maxclients is lowered"), "{log}");
    ensure!(!log.contains("cannot accept") && !log.contains("cannot connect"), "{log}");
    crowd.leave(&proxy)
}

#[test]
fn clients_beyond_the_limit_of_open_files_are_refused() -> Result<()> {
    /// The running proxy may have no more files and sockets open from now on.
    const OPEN_FILES: u64 = 64;
    let node = RedisServer::start(RedisOptions::default())?;
    let mut proxy = ProxyProcess::in_front_of(node.address(), &ProxyOptions::default())?;
    let pid = proxy.process().id();
    let number = Pid::from_raw(i32::try_from(pid)?).context("a pid is positive")?;
    let limit = Rlimit { current: Some(OPEN_FILES), maximum: Some(OPEN_FILES) };
    prlimit(Some(number), Resource::Nofile, limit)?;
    let started = Instant::now();
    let crowd = Crowd::connect(&proxy, 120)?;
    let (served, refused) = (crowd.served.len(), crowd.refused);
    ensure!(served > 10 && refused > 40, "{served} were served, {refused} refused");
    ensure!(crowd.told > 0, "of {refused} clients that got no place none was told why");
    // Nobody spins.
    let before = ticks(pid)?;
    let begun = Instant::now();
    wait_until(Deadline::within(Duration::from_secs(10)), "two seconds pass", || {
        begun.elapsed().as_secs() >= 2
    })?;
    let used = ticks(pid)? - before;
    ensure!(used < 40, "{used} ticks of processor time in two seconds");
    let warnings = proxy.process().log_tail().matches("cannot accept connections").count();
    // Once a second, by each of two workers.
    let most = 2 * (started.elapsed().as_secs() as usize + 1);
    ensure!((1..=most).contains(&warnings), "{warnings} warnings, not {most} at most");
    crowd.leave(&proxy)
}
