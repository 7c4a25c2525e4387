//! The programs as their users see them.

mod ordinary;
