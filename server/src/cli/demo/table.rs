//! The last table: the acts, and beside them what is usual today.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use super::acts::Shown;
use super::nas::PATIENCE;
use super::observe::Show;

/// Prints it; whether the acts that promise to lose nothing kept their promise.
pub(super) fn print(show: &Show, acts: &[Shown]) -> bool {
    show.heading("What was lost");
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "act",
        "sent",
        "answered",
        "lost",
        "slowest answer",
        "threshold to notice",
        "notice to first request on the alternate",
    ]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for act in acts {
        table.add_row([
            act.title.to_owned(),
            act.tally.sent.to_string(),
            act.tally.answered().to_string(),
            act.tally.lost.to_string(),
            shown(Some(act.tally.slowest)),
            shown(act.to_notice),
            shown(act.to_alternate),
        ]);
    }
    println!("{table}\n");
    println!(
        "lost: no answer within {} s, and the NAS never repeats itself. slowest: accepts and accounting; rejects are\n\
         delayed by design. Act 3 counts from the command. Act 4 counts from the kill: nobody sends a notice, and the\n\
         agent finds out by itself.\n",
        PATIENCE.as_secs()
    );
    println!(
        "Today's practice when the first server is killed, measured earlier at 100 requests/s with a NAS that repeats itself\n\
         twice (docs/matrix.md; `make compare` measures it here); quoted, not run:\n\
         \n\
         | in front of the servers | until the last client has an answer | requests lost |\n\
         |---|---:|---:|\n\
         | FreeRADIUS 3.2, shipped settings | 24.1 s | 2,406 of 3,700 |\n\
         | radsecproxy 1.9, shipped settings | never | 3,600 of 3,700 |\n"
    );
    let kept =
        acts.iter().filter(|act| act.promised).all(|act| act.tally.lost == 0 && act.to_alternate.is_some());
    let verdict = if kept {
        "Acts 1 and 3 lost nothing."
    } else {
        "Acts 1 and 3 promise to lose nothing and to move the traffic; that promise was broken."
    };
    println!("{}", show.verdict(kept, verdict));
    kept
}

fn shown(span: Option<Duration>) -> String {
    span.map_or("-".to_owned(), |span| format!("{:.1} ms", span.as_secs_f64() * 1000.0))
}
