//! WAIT and WAITAOF: reads the arguments. The control thread waits, on connections of its own: a shared connection to a
//! node would be held up for everybody.

use super::{After, ControlRequest, WaitGoal, WaitRequest, Written, timeout};
use crate::command::Args;
use crate::{decimal, errors};

/// `WAIT numreplicas timeout`
pub(super) fn wait(args: Args<'_>, now_us: u64, out: &mut Vec<u8>) -> After {
    let replicas = decimal::parse(args.get(1)).ok_or(errors::NOT_INTEGER);
    ask(replicas.map(WaitGoal::Replicas), args.get(2), now_us, out)
}

/// `WAITAOF numlocal numreplicas timeout`
pub(super) fn wait_aof(args: Args<'_>, now_us: u64, out: &mut Vec<u8>) -> After {
    ask(aof_goal(args), args.get(3), now_us, out)
}

fn aof_goal(args: Args<'_>) -> Result<WaitGoal, &'static str> {
    let local = decimal::parse(args.get(1)).ok_or(errors::NOT_INTEGER)?;
    if !(0..=1).contains(&local) {
        return Err(errors::WAITAOF_LOCAL);
    }
    let replicas = decimal::parse(args.get(2)).filter(|replicas| *replicas >= 0);
    Ok(WaitGoal::Aof { local, replicas: replicas.ok_or(errors::NOT_POSITIVE)? })
}

fn ask(goal: Result<WaitGoal, &'static str>, given: &[u8], now_us: u64, out: &mut Vec<u8>) -> After {
    let request = goal.and_then(|goal| {
        let timeout_ms = timeout::duration_ms(given, now_us / 1000)?;
        Ok(WaitRequest { goal, timeout_ms, written: Written::default() })
    });
    match request {
        Ok(request) => After::Control(Box::new(ControlRequest::Wait(request))),
        Err(error) => {
            errors::write(out, error);
            After::Done
        }
    }
}
