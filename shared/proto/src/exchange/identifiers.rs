//! Which identifiers are free on the source ports that lead to one server.

/// A source port (by number of the caller's socket, from 0) and an identifier on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Name {
    /// Index of the source port.
    pub port: u16,
    /// The identifier octet.
    pub identifier: u8,
}

/// The identifiers of one server and kind: 256 for each source port, each owned by at most one request.
/// The one free for the longest is taken first (RFC 5080 section 2.2.2), ports in turn. All room is
/// allocated at the start.
#[derive(Debug)]
pub struct Identifiers {
    ports: Vec<Port>,
    turn: usize,
    taken: usize,
}

const NOBODY: u32 = u32::MAX;
const OCTETS: usize = 256;

/// Owners by identifier, and the free identifiers as a ring, the longest free first.
struct Port {
    owners: [u32; OCTETS],
    ring: [u8; OCTETS],
    first: u8,
    free: u16,
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Port({} free)", self.free)
    }
}

impl Identifiers {
    /// Identifiers on `ports` source ports (at least one), `reserved` of the first port's set aside: they are
    /// never handed out here, so that a probe always finds one. The reserved ones are the highest.
    pub fn new(ports: u16, reserved: u8) -> Identifiers {
        let port = |reserved: u8| Port {
            owners: [NOBODY; OCTETS],
            ring: std::array::from_fn(|index| index as u8),
            first: 0,
            free: OCTETS as u16 - u16::from(reserved),
        };
        let ports = (0..ports.max(1)).map(|index| port(if index == 0 { reserved } else { 0 })).collect();
        Identifiers { ports, turn: 0, taken: 0 }
    }

    /// Takes an identifier for `owner` (any number but `u32::MAX`). `None` when all are outstanding.
    pub fn take(&mut self, owner: u32) -> Option<Name> {
        debug_assert_ne!(owner, NOBODY);
        for _ in 0..self.ports.len() {
            let index = self.turn;
            self.turn = (self.turn + 1) % self.ports.len();
            if let Some(identifier) = self.ports[index].take(owner) {
                self.taken += 1;
                return Some(Name { port: index as u16, identifier });
            }
        }
        None
    }

    /// Who has this identifier outstanding.
    pub fn owner(&self, name: Name) -> Option<u32> {
        let owner = self.ports.get(usize::from(name.port))?.owners[usize::from(name.identifier)];
        (owner != NOBODY).then_some(owner)
    }

    /// Gives an identifier back; it is the last to be taken again. False when nobody had it.
    pub fn release(&mut self, name: Name) -> bool {
        let released =
            self.ports.get_mut(usize::from(name.port)).is_some_and(|port| port.release(name.identifier));
        self.taken -= usize::from(released);
        released
    }

    /// Identifiers outstanding.
    pub fn taken(&self) -> usize {
        self.taken
    }
}

impl Port {
    fn take(&mut self, owner: u32) -> Option<u8> {
        if self.free == 0 {
            return None;
        }
        let identifier = self.ring[usize::from(self.first)];
        self.first = self.first.wrapping_add(1);
        self.free -= 1;
        self.owners[usize::from(identifier)] = owner;
        Some(identifier)
    }

    fn release(&mut self, identifier: u8) -> bool {
        let owner = &mut self.owners[usize::from(identifier)];
        if *owner == NOBODY {
            return false;
        }
        *owner = NOBODY;
        let last = self.first.wrapping_add(self.free as u8);
        self.ring[usize::from(last)] = identifier;
        self.free += 1;
        true
    }
}
