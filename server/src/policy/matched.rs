//! Which policies held for a request, and what of a reply outlives them.

use super::Policies;
use crate::config::{PolicyReply, ReplyAttribute};

/// The policies that held and do something to the reply, in order. A core keeps one and uses it again: then it takes no
/// memory.
#[derive(Debug, Default)]
pub struct Matched {
    numbers: Vec<u32>,
    /// For each attribute that any policy replaces: in which evaluation one did last, and after how many others.
    replaced: Vec<(u32, u32)>,
    evaluation: u32,
}

impl Matched {
    /// None hold yet.
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.evaluation = self.evaluation.wrapping_add(1);
        if self.evaluation == 0 {
            self.replaced.fill((0, 0));
            self.evaluation = 1;
        }
    }

    pub(super) fn begin(&mut self, attributes: usize) {
        self.clear();
        if self.replaced.len() < attributes {
            self.replaced.resize(attributes, (0, 0));
        }
    }

    pub(super) fn add(&mut self, number: usize, replaces: &[u32]) {
        self.numbers.push(number as u32);
        for place in replaces {
            self.replaced[*place as usize] = (self.evaluation, self.numbers.len() as u32);
        }
    }

    /// Their numbers.
    pub fn numbers(&self) -> impl Iterator<Item = usize> {
        self.numbers.iter().map(|number| *number as usize)
    }
}

/// What the policies that held do to a reply.
#[derive(Debug, Clone, Copy)]
pub struct Edits<'p> {
    policies: &'p Policies,
    matched: &'p Matched,
}

impl<'p> Edits<'p> {
    pub(super) fn new(policies: &'p Policies, matched: &'p Matched) -> Self {
        Self { policies, matched }
    }

    /// Whether they leave it as it is.
    pub fn is_empty(&self) -> bool {
        self.matched.numbers.is_empty()
    }

    /// Whether what the user's own reply has of this attribute stays.
    pub fn keep(&self, vendor: u32, numbers: &[u32]) -> bool {
        self.keep_after(0, vendor, numbers)
    }

    /// What each puts in that no later one takes out: the policy's number, and the attribute.
    pub fn attributes(&self) -> impl Iterator<Item = (usize, &'p ReplyAttribute)> {
        let Edits { policies, matched } = *self;
        let replies =
            (1..).zip(matched.numbers()).map(|(place, number)| (place, number, policies.reply(number)));
        replies.flat_map(move |(place, number, reply): (u32, usize, &PolicyReply)| {
            let stays = move |attribute: &&ReplyAttribute| {
                Edits { policies, matched }.keep_after(place, attribute.vendor, &attribute.numbers)
            };
            reply.attributes.iter().filter(stays).map(move |attribute| (number, attribute))
        })
    }

    /// Whether none after the one of this place replaces the attribute.
    fn keep_after(&self, place: u32, vendor: u32, numbers: &[u32]) -> bool {
        let replaced = self.policies.place(vendor, numbers);
        replaced
            .and_then(|at| self.matched.replaced.get(at))
            .is_none_or(|(evaluation, by)| *evaluation != self.matched.evaluation || *by <= place)
    }
}
