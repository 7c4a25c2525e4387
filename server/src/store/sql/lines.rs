//! The lines a look-up gives, of many names at once: their texts one after the other in one buffer.

use std::ops::Range;

use zeroize::Zeroize;

use super::statements::{CHECK, MEMBER, REPLY};
use crate::users::Row;

/// Lines of one name that are looked at. More are no account but a mistake, and are said.
pub(super) const LINES_MAX: usize = 2000;

/// The lines of a batch. Wiped when dropped: passwords are among the texts.
#[derive(Debug, Default)]
pub(super) struct Lines {
    texts: String,
    lines: Vec<Line>,
}

/// One line; the texts are places in the buffer.
#[derive(Debug, Clone)]
struct Line {
    /// The number of the name in the batch, from 0.
    index: u32,
    kind: u8,
    /// An id, or a priority.
    order: i64,
    texts: [Option<Range<u32>>; 3],
}

impl Lines {
    /// Adds a line. What can't be one (a number out of range) is left out.
    pub(super) fn push(&mut self, (number, kind, order): (i64, i64, i64), texts: [Option<&str>; 3]) {
        let (Ok(number), Ok(kind)) = (u32::try_from(number), u8::try_from(kind)) else { return };
        let texts = texts.map(|text| text.map(|text| self.keep(text)));
        self.lines.push(Line { index: number.wrapping_sub(1), kind, order, texts });
    }

    fn keep(&mut self, text: &str) -> Range<u32> {
        let start = self.texts.len() as u32;
        self.texts.push_str(text);
        start..self.texts.len() as u32
    }

    /// Puts the lines of each name together, in the order of their table. Of groups with one priority the order is the
    /// database's, as it is for FreeRADIUS.
    pub(super) fn sort(&mut self) {
        self.lines.sort_by_key(|line| (line.index, line.kind, line.order));
    }

    /// Those of the name of this number. [`Lines::sort`] comes first.
    pub(super) fn of(&self, index: usize) -> Found<'_> {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let start = self.lines.partition_point(|line| line.index < index);
        let count = self.lines[start..].partition_point(|line| line.index == index);
        Found { lines: &self.lines[start..start + count], texts: &self.texts }
    }

    /// The names of all groups in it.
    pub(super) fn groups(&self) -> impl Iterator<Item = &str> {
        let members = self.lines.iter().filter(|line| i64::from(line.kind) == MEMBER);
        members.filter_map(|line| text(&self.texts, &line.texts[0]))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.texts.zeroize();
    }
}

/// The lines of one name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'l> {
    lines: &'l [Line],
    texts: &'l str,
}

impl<'l> Found<'l> {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The rows of the check table.
    pub(super) fn check(&self) -> Vec<Row<'l>> {
        self.rows(CHECK)
    }

    /// The rows of the reply table.
    pub(super) fn reply(&self) -> Vec<Row<'l>> {
        self.rows(REPLY)
    }

    /// The names of its groups.
    pub(super) fn groups(&self) -> impl Iterator<Item = &'l str> {
        let texts = self.texts;
        self.of(MEMBER).iter().filter_map(move |line| text(texts, &line.texts[0]))
    }

    fn rows(&self, kind: i64) -> Vec<Row<'l>> {
        let row = |line: &'l Line| Row {
            id: line.order,
            attribute: text(self.texts, &line.texts[0]),
            op: text(self.texts, &line.texts[1]),
            value: text(self.texts, &line.texts[2]),
        };
        self.of(kind).iter().map(row).collect()
    }

    fn of(&self, kind: i64) -> &'l [Line] {
        let start = self.lines.partition_point(|line| i64::from(line.kind) < kind);
        let count = self.lines[start..].partition_point(|line| i64::from(line.kind) == kind);
        &self.lines[start..start + count]
    }
}

fn text<'l>(texts: &'l str, place: &Option<Range<u32>>) -> Option<&'l str> {
    let place = place.as_ref()?;
    texts.get(place.start as usize..place.end as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_any_order_are_each_names_own_in_the_order_of_the_table() {
        let mut lines = Lines::default();
        lines.push((2, CHECK, 9), [Some("B"), Some(":="), Some("b")]);
        lines.push((1, MEMBER, 5), [Some("staff"), None, None]);
        lines.push((1, CHECK, 7), [Some("A2"), Some("=="), Some("two")]);
        lines.push((1, REPLY, 1), [Some("R"), Some("="), None]);
        lines.push((1, MEMBER, 1), [Some("guests"), None, None]);
        lines.push((1, CHECK, 3), [Some("A1"), Some(":="), Some("one")]);
        lines.push((-1, CHECK, 3), [Some("never"), None, None]);
        lines.sort();
        let first = lines.of(0);
        let names: Vec<_> = first.check().iter().map(|row| (row.id, row.attribute)).collect();
        assert_eq!(names, [(3, Some("A1")), (7, Some("A2"))]);
        assert_eq!(first.reply(), [Row { id: 1, attribute: Some("R"), op: Some("="), value: None }]);
        assert_eq!(first.groups().collect::<Vec<_>>(), ["guests", "staff"]);
        assert_eq!((lines.of(1).len(), lines.of(2).len()), (1, 0));
        assert_eq!(lines.groups().count(), 2);
    }
}
