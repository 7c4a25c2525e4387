//! The house itself: who may import whom, and what must not stand in the tree.

mod claims;
mod floors;
