//! `forewarn demo`: two servers and an agent as separate processes, real traffic, and four ways to lose a server.

mod acts;
mod nas;
mod observe;
mod stage;
mod table;

use std::io;
use std::process::ExitCode;

use nas::Nas;
use observe::Show;
use stage::{AGENT, EAST, START_LIMIT, Stage, WEST};

/// What `forewarn demo` can be told.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Args {
    /// Leave the servers and the agent running, and print radclient lines to try
    #[arg(long)]
    keep: bool,
}

/// Runs the demo. Exit code 0 only if a warned overload and a drain lost nothing.
pub fn run(args: &Args) -> ExitCode {
    match play(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("forewarn demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(args: &Args) -> io::Result<bool> {
    let mut show = Show::new();
    introduce(&show);
    let mut stage = Stage::build(args.keep)?;
    for actor in [EAST, WEST, AGENT] {
        stage.start(actor)?;
        show.line(actor.name, &format!("started, process {}", stage.pid(actor).unwrap_or_default()));
    }
    if !show.until(&mut stage, None, START_LIMIT, |view| view.state() == "serving" && view.is_home())? {
        return Err(io::Error::other(
            "the servers and the agent didn't get ready; is one of their addresses taken?",
        ));
    }
    let nas = Nas::start(acts::NUMBER)?;
    let mut results = acts::perform(&mut show, &mut stage, &nas)?;
    show.line("traffic", "stopped; waiting for the last answers");
    for (result, tally) in results.iter_mut().zip(nas.finish()?) {
        result.tally = tally;
    }
    let good = table::print(&show, &results);
    if args.keep {
        stage.start(EAST)?;
        show.until(&mut stage, None, START_LIMIT, |view| view.state() == "serving")?;
        leave(&stage);
    }
    Ok(good)
}

fn introduce(show: &Show) {
    show.heading("forewarn: a RADIUS server that warns its clients before it fails");
    println!(
        "Two servers ({} on 127.0.0.11, {} on 127.0.0.12) and an agent ({} on 127.0.0.21) run as separate processes\n\
         from the documented configurations. A NAS sends {} requests/s into the agent: PAP for alice (clear text) and bob\n\
         (a slow hash that needs a thread of the server's pool), some wrong passwords, and accounting. What is added in\n\
         conf.d of the servers:\n",
        EAST.name,
        WEST.name,
        AGENT.name,
        nas::RATE
    );
    for line in stage::SERVER_OVERLAY.lines() {
        println!("    {line}");
    }
    println!("\nand of the agent:\n");
    for line in stage::AGENT_OVERLAY.lines() {
        println!("    {line}");
    }
    println!();
}

fn leave(stage: &Stage) {
    println!("\nStill running, in {}. To try:\n", stage.root().display());
    println!(
        "    echo 'User-Name=alice,User-Password=wonderland' | radclient -x 127.0.0.21:1812 auth {}",
        stage::LOCAL_SECRET
    );
    println!(
        "    echo 'User-Name=bob,User-Password=builder' | radclient -x 127.0.0.21:1812 auth {}",
        stage::LOCAL_SECRET
    );
    println!(
        "    cd {} && forewarn status && forewarn drain aaa-east && forewarn resume aaa-east",
        stage.root().display()
    );
    let pids: Vec<String> = [EAST, WEST, AGENT]
        .into_iter()
        .filter_map(|actor| stage.pid(actor))
        .map(|pid| pid.to_string())
        .collect();
    println!("\nTo end it: kill {} && rm -r {}", pids.join(" "), stage.root().display());
}
