//! `exists`, `all`, `exists_one`, `filter`, `map`: as the parser has unrolled them, back to what was meant.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, operators};

use super::super::kind::Type;
use super::super::op::{Loop, Op};
use super::{Checker, Part};

impl<'d> Checker<'_, 'd> {
    /// One loop over a list. A loop within a loop multiplies the work, so it is refused.
    pub(super) fn comprehension(&mut self, at: &IdedExpr, of: &ComprehensionExpr) -> Part<'d> {
        const ONE: &str = "one exists, all, exists_one, filter or map at a time";
        if self.bound.is_some() {
            return self.fault(at, "a loop within a loop".into(), ONE);
        }
        let range = self.expression(&of.iter_range);
        if matches!(of.iter_range.expr, Expr::Comprehension(_)) {
            return self.fault(at, "a loop over a loop's result".into(), ONE);
        }
        let item = match range.kind {
            Type::List(item) => *item,
            Type::Any => Type::Any,
            other => {
                return self.fault(&of.iter_range, format!("this is {other}"), "a list, such as user.groups");
            }
        };
        let Expr::Call(step) = &of.loop_step.expr else { return self.unknown_loop(at) };
        self.bound = Some((of.iter_var.clone(), item.clone(), range.names));
        let looped = self.body(at, of, step, range.op, item);
        self.bound = None;
        looped
    }

    fn body(
        &mut self,
        at: &IdedExpr,
        of: &ComprehensionExpr,
        step: &CallExpr,
        range: Op,
        item: Type,
    ) -> Part<'d> {
        let mut truth = |kind: Loop, range: Op, body: &IdedExpr| {
            let part = self.expression(body);
            self.expect(body, &part, &Type::Truth);
            Op::Loop(kind, Box::new([range, part.op]))
        };
        match (step.func_name.as_str(), step.args.as_slice()) {
            (operators::LOGICAL_OR, [_, body]) => Part::truth(truth(Loop::Exists, range, body)),
            (operators::LOGICAL_AND, [_, body]) => Part::truth(truth(Loop::ForAll, range, body)),
            (operators::CONDITIONAL, [body, ..]) if !matches!(of.accu_init.expr, Expr::List(_)) => {
                Part::truth(truth(Loop::ExistsOne, range, body))
            }
            (operators::CONDITIONAL, [body, appended, _]) => {
                let filtered = truth(Loop::Filter, range, body);
                let names = self.bound.as_ref().and_then(|bound| bound.2);
                match appended_to(appended) {
                    Some(one) if one.expr == Expr::Ident(of.iter_var.clone()) => {
                        Part { op: filtered, kind: Type::List(Box::new(item)), names }
                    }
                    Some(one) => self.mapped(filtered, one),
                    None => self.unknown_loop(at),
                }
            }
            _ => match appended_to(&of.loop_step) {
                Some(one) => self.mapped(range, one),
                None => self.unknown_loop(at),
            },
        }
    }

    fn mapped(&mut self, range: Op, body: &IdedExpr) -> Part<'d> {
        let Part { op, kind, .. } = self.expression(body);
        Part::new(Op::Loop(Loop::Map, Box::new([range, op])), Type::List(Box::new(kind)))
    }

    fn unknown_loop(&mut self, at: &IdedExpr) -> Part<'d> {
        self.fault(at, "there is no such loop here".into(), "exists, all, exists_one, filter or map")
    }
}

/// `result + [one]`
fn appended_to(step: &IdedExpr) -> Option<&IdedExpr> {
    match &step.expr {
        Expr::Call(CallExpr { func_name, args, .. }) if func_name == operators::ADD => {
            match args.as_slice() {
                [_, IdedExpr { expr: Expr::List(list), .. }] => list.elements.first(),
                _ => None,
            }
        }
        _ => None,
    }
}
