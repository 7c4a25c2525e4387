//! Against an LDAP directory of its own: see `tests/`. Here: what needs none.
