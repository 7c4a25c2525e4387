//! What is counted, from one list: each thing that may happen, its sentence, and the name the operator sees.

/// Makes the `enum` of what may happen, each with its stable name, and `Counts` of how often it did.
macro_rules! counted {
    (
        $(#[$about:meta])*
        pub enum $Fate:ident {
            $($(#[$sentence:meta])* $fate:ident = $name:literal,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(usize)]
        pub enum $Fate {
            $($(#[$sentence])* $fate,)+
        }

        impl $Fate {
            const ALL: &[$Fate] = &[$($Fate::$fate,)+];

            /// Its stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $($Fate::$fate => $name,)+
                }
            }
        }

        /// How often each of them happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Counts([u64; $Fate::ALL.len()]);

        impl Default for Counts {
            fn default() -> Counts {
                Counts([0; $Fate::ALL.len()])
            }
        }

        impl Counts {
            /// One more.
            pub fn add(&mut self, fate: $Fate) {
                self.0[fate as usize] += 1;
            }

            /// How often so far.
            #[must_use]
            pub fn of(&self, fate: $Fate) -> u64 {
                self.0[fate as usize]
            }

            /// All of them, by name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
                $Fate::ALL.iter().map(|fate| (fate.name(), self.of(*fate)))
            }
        }
    };
}

pub(crate) use counted;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{coa, local};

    #[test]
    fn every_name_is_given_once() {
        let (front, coa) = (local::Counts::default(), coa::Counts::default());
        let names: Vec<_> = front.iter().chain(coa.iter()).map(|(name, _)| name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
