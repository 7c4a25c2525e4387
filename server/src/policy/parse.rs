//! From a condition's text to an expression, by the `cel` crate's parser: bounded before and around it.

use std::thread;

use cel::IdedExpr;
use cel::common::ast::SourceInfo;
use cel::parser::Parser;

use super::Fault;
use crate::contained::contained;

/// Octets of a condition. A longer one is two.
const LENGTH_MAX: usize = 4096;
/// How deep a condition may nest: the parser is recursive.
const DEPTH_MAX: u16 = 24;

/// The generated parser takes some 100 kB of stack for each level, unoptimized: more than a thread has.
const STACK_OCTETS: usize = 32 << 20;

/// Runs `work` on a thread with room for the parser: once for all conditions of a configuration.
pub(crate) fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let working = thread::Builder::new().stack_size(STACK_OCTETS).spawn_scoped(scope, work);
        working.ok()?.join().ok()
    })
}

/// Parses a condition. To be called in [`with_room`].
pub(crate) fn parse(source: &str) -> Result<(IdedExpr, SourceInfo), Vec<Fault>> {
    if let Some(fault) = too_big(source) {
        return Err(vec![fault]);
    }
    // Others' work, on an operator's text.
    let parsed = contained(|| {
        Parser::new().max_recursion_depth(DEPTH_MAX * 2).parse_with_source_info(source).map_err(|errors| {
            errors.errors.iter().map(|error| syntax(source, error.pos, &error.msg)).collect::<Vec<_>>()
        })
    });
    parsed.unwrap_or_else(|_| {
        let what = String::from("the parser failed on this condition");
        Err(vec![Fault { offset: 0, what, hint: "a simpler condition".into() }])
    })
}

/// Judged before the parser sees it, whose stack would overflow first. Brackets within quotes count too: the
/// limit is far from what anybody writes.
fn too_big(source: &str) -> Option<Fault> {
    let (mut open, mut choices) = (0_u16, 0);
    for (offset, octet) in source.bytes().enumerate() {
        match octet {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'?' => choices += 1,
            _ => {}
        }
        if open + choices > DEPTH_MAX {
            let what = format!("the condition nests deeper than {DEPTH_MAX}");
            return Some(Fault { offset, what, hint: "several policies, one after the other".into() });
        }
    }
    (source.len() > LENGTH_MAX).then(|| Fault {
        offset: LENGTH_MAX,
        what: format!("the condition is longer than {LENGTH_MAX} octets"),
        hint: "several policies, one after the other".into(),
    })
}

fn syntax(source: &str, (line, column): (isize, isize), message: &str) -> Fault {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let before: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let column = usize::try_from(column - 1).unwrap_or(0);
    let offset = (before + column).min(source.len());
    if message.contains("has() macro") {
        let what = String::from("has() takes the name of a fact");
        return Fault { offset, what, hint: "\"NAS-Port\" in request, or has(request.nas_port)".into() };
    }
    Fault {
        offset,
        what: format!("not a CEL expression: {}", message.trim()),
        hint: String::from("something like 'client.group == \"wifi\" && \"staff\" in user.groups'"),
    }
}
